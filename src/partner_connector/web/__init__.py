"""HTTP building blocks that all features share."""
