"""Identify the fruit on a photo."""
