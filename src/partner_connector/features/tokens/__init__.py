"""Tokens: received, sealed, validated, activated, replaced, disconnected. Never returned."""
