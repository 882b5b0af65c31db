"""Use results without Spark or Java: report, identify, serve."""
