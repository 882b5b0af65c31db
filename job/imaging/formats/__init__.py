"""Read what Pillow does not read, or reads wrong. Pure: no I/O."""
