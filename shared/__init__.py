"""Plain Python that Coldsite is made of: no triggers and no orchestration live here."""
