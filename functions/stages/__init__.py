"""What runs are made of. Deterministic parts of orchestrators: no I/O, no clock but the context's."""
