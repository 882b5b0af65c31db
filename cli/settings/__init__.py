"""Read settings, the user and local paths."""
