"""
Run the commands: what the user wants, where it runs, what the result is.

Of `job` it imports `job.contract` only; pyproject.toml names the exceptions.
"""

__version__ = "0.1.0"
