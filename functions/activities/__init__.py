"""One step each, one call into ``shared``. Each may run twice and may be interrupted anywhere."""
