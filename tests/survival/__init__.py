"""Campaigns of kills and outages against real processes, and a small sample of each."""
