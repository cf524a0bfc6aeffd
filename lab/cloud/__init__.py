"""Simulated Azure, below the SDK: the real clients connect over HTTPS. Unmodelled calls are refused by name."""
