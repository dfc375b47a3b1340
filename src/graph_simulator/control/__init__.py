"""The control surface: truth, faults, switches, counters and mutations."""
