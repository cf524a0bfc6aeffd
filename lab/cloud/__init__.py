"""Simulated Azure, below the SDK: the real clients talk to it over HTTPS. What is not modelled is refused by name."""
