"""The use cases behind the triggers: start a run, handle an alert, check between runs. No trigger, no HTTP."""
