"""Say which fruit is on a photo."""
