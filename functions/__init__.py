"""Everything that Azure Functions calls: triggers, orchestrators and activities. Thin by design."""
