"""Daily work: checks for updates and token checks."""
