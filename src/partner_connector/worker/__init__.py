"""Worker process: calls Meta and holds the private keys."""
