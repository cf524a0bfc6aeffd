"""Coldsite's Table Storage: the history and the state of each plan's site. It decides nothing."""
