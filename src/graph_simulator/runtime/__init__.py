"""One running simulator: its world, faults, counters and throttles."""
