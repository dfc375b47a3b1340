"""Businesses, people, assets and tokens of the simulated world."""
