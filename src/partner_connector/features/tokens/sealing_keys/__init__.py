"""Public sealing keys."""
