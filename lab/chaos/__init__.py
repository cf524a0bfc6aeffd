"""Chaos: every crash point of every activity, Azure's faults, and random bad days, each in a lab of its own."""
