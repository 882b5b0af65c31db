"""Use and erase results."""
