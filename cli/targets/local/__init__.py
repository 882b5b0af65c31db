"""Run the job on this machine."""
