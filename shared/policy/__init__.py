"""Pure decisions: data in, a decision with its reason out. Nothing here does any input or output."""
