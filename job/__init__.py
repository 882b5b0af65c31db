"""The data flow on Spark: photos in, features and a PCA matrix out. Never imports `cli`."""
