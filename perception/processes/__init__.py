"""Processes beside this one that look at pictures."""
