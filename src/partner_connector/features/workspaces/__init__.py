"""Tenants. Made on the command line only."""
