"""What a run reads: which photos of INPUT it takes."""
