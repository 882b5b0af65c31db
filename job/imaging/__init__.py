"""Turn the bytes of photos into features, without Spark."""
