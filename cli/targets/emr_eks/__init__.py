"""Plan, send and follow runs on EMR on EKS."""
