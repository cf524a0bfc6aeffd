"""The runs, each to be read from top to bottom. Deterministic: no I/O, no clock but the context's."""
