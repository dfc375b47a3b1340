"""Comparison of staged rows with stored rows, and application of the difference."""
