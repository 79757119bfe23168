"""Requests that wait together are seen and written together."""
