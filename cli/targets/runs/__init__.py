"""Launch runs on any target, save them, find them and list them."""
