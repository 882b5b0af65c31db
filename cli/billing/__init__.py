"""Compute what runs cost, before and after."""
