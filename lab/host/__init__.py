"""A local Azure Functions host: HTTP, keys and timers in front, the Python worker and the task hub behind."""
