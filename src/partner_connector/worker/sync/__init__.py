"""Sync jobs: reads from Meta into staging tables, applied in one transaction."""
