"""Reading plan files. The disk is the only input."""
