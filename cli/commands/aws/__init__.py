"""Prepare the account: image, stacks, photos, cost."""
