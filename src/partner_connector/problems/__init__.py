"""The catalogue of everything that can go wrong, for programs and people."""
