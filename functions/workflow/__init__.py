"""The engine's rules, kept once: waiting, asking, beginning, ending. Nothing here knows what a failover is."""
