"""Runs on an EMR on EKS virtual cluster that is there already: send, follow, cancel, and what its role must trust."""
