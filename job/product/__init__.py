"""What people do with results: report, identify, serve. Arrays and files alone: no Spark, no Java."""
