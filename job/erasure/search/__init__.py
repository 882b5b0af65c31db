"""Search files, versions and logs for what is left of erased photos."""
