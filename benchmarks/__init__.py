"""How fast and how small, each question a program of its own: `python -m benchmarks.NAME`."""
