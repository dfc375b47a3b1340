"""Compare what was staged with what is stored, and apply the difference."""
