"""Worker: events out of the outbox, in order, to those who want them."""
