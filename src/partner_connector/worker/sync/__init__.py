"""The worker's side of a check for updates: read from Meta into staging, then apply at once."""
