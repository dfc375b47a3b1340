"""Staging tables: rows that a check has read and not yet applied."""
