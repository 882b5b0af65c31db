"""Share what runs on EMR Serverless and on EMR on EKS have in common."""
