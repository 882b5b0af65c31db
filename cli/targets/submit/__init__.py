"""Run the job on a Spark that is already there, by spark-submit."""
