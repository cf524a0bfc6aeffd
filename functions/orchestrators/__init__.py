"""The runs, each readable from top to bottom. Deterministic: no I/O, no clock but the context's."""
