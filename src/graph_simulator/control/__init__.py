"""The control surface: truth, faults, switches, counters, mutations."""
