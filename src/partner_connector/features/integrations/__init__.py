"""Integrations: connections to our own Meta business, each with its own token."""
