"""State of a running simulator: its world, faults, counters and usage meters."""
