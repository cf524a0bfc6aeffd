"""The engine's rules, in one place: waiting, asking, beginning, ending. It is the same for every kind of run."""
