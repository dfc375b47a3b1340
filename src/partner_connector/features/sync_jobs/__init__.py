"""Sync jobs (checks for updates): request, read, follow, cancel. `worker/sync` runs them."""
