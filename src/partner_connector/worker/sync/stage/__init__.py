"""Staging tables: rows that a sync job has read but not yet applied."""
