"""Integrations: our own Meta business, connected with its own token."""
