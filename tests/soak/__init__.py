"""Hours of checks in minutes: whether anything grows that should not (`docs/soak.md`)."""
