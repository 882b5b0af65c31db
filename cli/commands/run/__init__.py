"""Start runs and follow them."""
