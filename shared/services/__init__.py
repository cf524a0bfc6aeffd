"""What triggers ask for, each a use case: start a run, handle an alert, look between runs. No trigger, no HTTP."""
