"""From pixels to features, without Spark."""
