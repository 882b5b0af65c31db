"""Plan, send and follow runs on EMR Serverless."""
