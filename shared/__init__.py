"""Coldsite's plain Python: no triggers and no orchestration."""
