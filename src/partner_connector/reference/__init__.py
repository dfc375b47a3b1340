"""The page at `/docs`: the OpenAPI document for people."""
