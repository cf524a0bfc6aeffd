"""The engine's rules, in one place: waiting, asking, beginning, ending. Nothing here depends on failovers."""
