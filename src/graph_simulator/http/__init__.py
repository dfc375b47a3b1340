"""Graph calls over HTTP, plain and in batches."""
