"""Hours of checks in minutes, to find what grows.

Explained in `docs/explanation/guarantees.md#does-anything-grow`.
"""
