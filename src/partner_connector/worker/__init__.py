"""The process that talks to Meta and holds the private keys."""
