"""Photos and weights: drawn or downloaded, stripped of metadata, uploaded."""
