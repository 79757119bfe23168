"""Makers of questions about a photograph, one sort a file."""
