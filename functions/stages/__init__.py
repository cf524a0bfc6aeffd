"""The stages of runs. Deterministic parts of orchestrators: no I/O, no clock but the context's."""
