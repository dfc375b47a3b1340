"""Health, metrics, problems and the reference: operations about the service itself."""
