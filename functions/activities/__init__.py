"""One step each; the work is done in ``shared``. Each may run twice and may be interrupted anywhere."""
