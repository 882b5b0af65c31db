"""Where a run can be sent."""
