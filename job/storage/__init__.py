"""Store OUTPUT: files, lease, logs of the Delta tables, schemas."""
