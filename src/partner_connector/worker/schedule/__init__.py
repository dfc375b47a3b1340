"""Work that is due every day."""
