"""The nouns, as plain data. No I/O, and no imports but other models."""
