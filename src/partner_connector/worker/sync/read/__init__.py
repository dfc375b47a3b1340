"""Reads of partners, assets and users from Meta into staging tables."""
