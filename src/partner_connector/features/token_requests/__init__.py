"""Token requests: one-time links by which a partner hands over its token itself."""
