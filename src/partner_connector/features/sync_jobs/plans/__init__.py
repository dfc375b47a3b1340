"""Plans of halted sync jobs: read, approve, reject."""
