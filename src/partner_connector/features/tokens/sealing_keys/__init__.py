"""Public keys to seal a token for."""
