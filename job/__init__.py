"""Run the data flow on Spark, from photos to features and a PCA matrix. Never imports `cli`."""
