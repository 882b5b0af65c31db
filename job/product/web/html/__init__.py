"""Render the pages that people see."""
