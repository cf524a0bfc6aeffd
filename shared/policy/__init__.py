"""Pure decisions: data in, a decision with its reason out. No I/O and no clock."""
