"""The coldsite command."""
