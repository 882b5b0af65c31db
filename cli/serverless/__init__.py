"""Runs on EMR Serverless: sent, followed, found again."""
