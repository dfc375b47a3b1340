"""Graph calls over HTTP, alone and in batches."""
