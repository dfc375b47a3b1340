"""Features of the API, each with the router, schemas, service and repository that it needs."""
