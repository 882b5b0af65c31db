"""Start Spark and its Python processes, and report progress."""
