"""What wakes the app: alerts, people, timers. A trigger reads its request and calls a service; it decides nothing."""
