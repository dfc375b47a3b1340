"""The partner's side of a token request."""
