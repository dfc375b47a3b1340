"""Change feed: the differences that checks for updates found. `worker.sync` writes it."""
