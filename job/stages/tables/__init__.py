"""Keep the Delta tables of OUTPUT: append, select, merge, delete."""
