"""Azure's durations in simulated seconds, with the source of each number.

"Recorded" means the difference of startTime and endTime in the test recordings of Azure/azure-cli (real service,
2018-2020, mostly Linux and small disks).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True)
class Times:
    """One number for each operation; ``spread`` varies each by up to that share: the same for the same ``seed``."""

    snapshot: float = 5.0
    """Recorded: 0.7 s median, 22 s slowest. Usable at once for Premium SSD; 5 s leaves room for larger disks."""
    disk: float = 5.0
    """From a snapshot; recorded: 0.4-0.8 s, 22 s slowest. The data follows in the background and slows the boot."""
    machine: float = 60.0
    """Estimate. Recorded deployments with an attached Linux disk: 49 s median, 248 s slowest."""
    boot_sql: float = 300.0
    """Estimate, until SQL Server answers. AWS DRS documents "Windows within 20 minutes", job included."""
    boot_iis: float = 240.0
    """Estimate, until IIS answers."""
    sql_recovering: float = 10.0
    """Estimate: crash recovery of a small database after boot."""
    delete_machine: float = 40.0
    """Recorded: 36 s median, 520 s slowest."""
    delete_disk: float = 2.0
    """Estimate."""
    run_command: float = 30.0
    """Recorded on Windows: 31 s. MicrosoftDocs: "about 20 seconds" at least."""
    endpoint_update: float = 1.0
    """Estimate; Traffic Manager's PATCH is synchronous."""
    dns_push: float = 10.0
    """Estimate: until Traffic Manager's name servers give the new answer."""
    log_ingestion: float = 60.0
    """MicrosoftDocs/azure-monitor-docs, logs/data-ingestion-time: 20 s to 3 min."""
    metric_alert: float = 30.0
    """Estimate of the delay beyond the evaluation window; MicrosoftDocs: metric alerts fire in under 5 minutes."""
    nic_reserved: float = 180.0
    """After a failed create; seen in public issues (NicReservedForAnotherVm names 180 seconds)."""
    spread: float = 0.1
    seed: int = 0

    def of(self, name: str, salt: str = "") -> float:
        """The duration called ``name`` for the thing called ``salt``; the same names give the same duration."""
        thing = f"{name}|{salt}" + (f"|{self.seed}" if self.seed else "")
        share = random.Random(thing).uniform(-self.spread, self.spread)  # noqa: S311 (not for security)
        value: float = getattr(self, name)
        return value * (1 + share)

    def with_changes(self, changes: dict[str, float]) -> Times:
        """A copy with some numbers replaced. Raises ``KeyError`` for an unknown name."""
        known = {field.name for field in fields(self)} - {"seed"}
        for name in changes:
            if name not in known:
                raise KeyError(f"{name} is not one of {', '.join(sorted(known))}")
        numbers: dict[str, Any] = dict(changes)
        return replace(self, **numbers)
