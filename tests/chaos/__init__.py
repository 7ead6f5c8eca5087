"""Faults of every kind at random moments, and what must be true afterwards: `make faults`."""
