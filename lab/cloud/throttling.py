"""Throttling: token buckets of Resource Manager per subscription, and of Compute per resource and per subscription.

Sources: MicrosoftDocs/azure-docs:articles/azure-resource-manager/management/request-limits-and-throttling.md,
MicrosoftDocs/azure-compute-docs:articles/virtual-machines/compute-throttling-limits.md
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.clock import Clock

_RESOURCE_MANAGER: dict[str, tuple[str, float, float]] = {
    "GET": ("reads", 25 * 60, 250),
    "PUT": ("writes", 10 * 60, 200),
    "PATCH": ("writes", 10 * 60, 200),
    "POST": ("writes", 10 * 60, 200),
    "DELETE": ("deletes", 10 * 60, 200),
}
"""By method: what it counts as, the refill a minute and the bucket of one caller in the subscription's region."""

_LIMITS: dict[str, tuple[tuple[float, float] | None, tuple[float, float] | None]] = {
    "PUT virtualMachines": ((4, 12), (500, 1500)),
    "GET virtualMachines": ((12, 36), (8000, 24000)),
    "GET operations": ((15, 45), (5000, 15000)),
    "GET diskOperations": ((15, 45), (5000, 15000)),
}
"""By operation: (refill a minute, bucket) of one resource, and of the subscription."""


@dataclass
class _Bucket:
    level: float
    at: float


class Throttling:
    """Returns how long a caller must wait; 0 means that the call is allowed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def wait_for_the_subscription(self, method: str, caller: str) -> float:
        """Takes one token of the caller's bucket in the subscription; simulated seconds to wait when it is empty."""
        counts_as, refill, size = _RESOURCE_MANAGER[method]
        return self._take(f"{counts_as}|{caller}", (refill, size))

    def wait(self, label: str, path: str, caller: str) -> float:
        """Takes one token from each of Compute's buckets that apply; simulated seconds to wait when one is empty."""
        resource, subscription = _LIMITS.get(label, (None, None))
        waits = [
            self._take(key, limit)
            for key, limit in ((f"{label}|{path.lower()}", resource), (f"{label}|{caller}", subscription))
            if limit
        ]
        return max(waits, default=0.0)

    def _take(self, key: str, limit: tuple[float, float]) -> float:
        refill, size = limit
        now = self._clock.ticks
        bucket = self._buckets.setdefault(key, _Bucket(size, now))
        bucket.level = min(size, bucket.level + (now - bucket.at) * refill / 60)
        bucket.at = now
        if bucket.level < 1:
            return (1 - bucket.level) * 60 / refill
        bucket.level -= 1
        return 0.0
