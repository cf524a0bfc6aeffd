"""Who wakes the app: alerts, people, timers. A trigger reads its request and asks a service; it decides nothing."""
