"""Draw photos of fruits where none can be downloaded."""
