"""Serve `fruitsctl serve`: a page and an API that identify fruit. No Spark, nothing stored, nothing logged about photos."""
