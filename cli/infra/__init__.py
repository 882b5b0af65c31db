"""Deploy and delete the stacks of the account."""
