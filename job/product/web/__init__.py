"""`fruitsctl serve`: a page and an API that say which fruit is on a photo. No Spark, nothing stored, nothing about photos logged."""
