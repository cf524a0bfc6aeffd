"""Chaos: every crash point of every activity, Azure's faults, and random bad days, each played in a lab of its own."""
