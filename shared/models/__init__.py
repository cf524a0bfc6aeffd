"""The nouns, as plain data. No I/O, and no import but of other models."""
