"""What Coldsite remembers, in Table Storage: the history (journal) and the state of each plan's site."""
