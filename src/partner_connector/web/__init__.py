"""The HTTP toolkit that all features share."""
