"""Replication: the primary's orders arrive on the replica's disks a little later, unless paused, frozen or cut off.

A snapshot of a replica that is neither frozen nor idle is torn: data and log disks differ in time. One that is
mirroring is worthless.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from lab.clock import Clock
from lab.site.sql_server import ShopOrder

if TYPE_CHECKING:
    from lab.site.world import Sites

State = Literal["good", "mirroring", "stopped", "unknown", "unpausable"]
"""``unknown``: the replica is unchanged, and the scripts report only nulls."""

_EVERY = 3.0
"""Simulated seconds between two rounds."""


@dataclass(frozen=True)
class Content:
    """The content of a replica disk, or of a snapshot of it. ``workload`` names the disk's owner."""

    workload: str
    label: str
    orders: tuple[ShopOrder, ...] = ()
    damage: Literal["", "torn", "mirroring"] = ""
    replicates: bool = False
    """Whether replication writes it: a disk of the replica itself."""


class ReplicationMachine:
    """The replication machine's view. ``lag`` is in simulated seconds."""

    def __init__(
        self, clock: Clock, source: Callable[[int], list[ShopOrder]], connected: Callable[[], bool], lag: float
    ) -> None:
        self._clock = clock
        self._source = source
        self._connected = connected
        self._lag = lag
        self._scripts: dict[str, str] = {}
        self._received: list[tuple[float, ShopOrder]] = []
        self._applied = 0
        self._whole_at: datetime | None = None
        """The newest moment at which everything that the source had committed was applied."""
        self.state: State = "good"
        self.paused = False
        self.frozen = False

    def learn_scripts(self, texts: dict[str, str]) -> None:
        """The plan's scripts, which the replication machine recognises by their text."""
        self._scripts = {_normal(text): name for name, text in texts.items()}

    async def run(self) -> None:
        """Sends and applies until cancelled."""
        while True:
            self.step()
            await self._clock.sleep(_EVERY)

    def step(self) -> None:
        """One round: what the source committed arrives; what is old enough is applied unless the target is frozen."""
        now = self._clock.ticks
        receives = self._connected() and not self.paused and self.state != "stopped"
        if receives:
            for order in self._source(len(self._received)):
                self._received.append((now, order))
        if self.frozen or self.state == "stopped":
            return
        while self._applied < len(self._received) and self._received[self._applied][0] + self._lag <= now:
            self._applied += 1
        if receives and self._applied == len(self._received) and self._whole:
            self._whole_at = datetime.now(UTC)
        elif self._applied and self._applied < len(self._received):
            # Changes are in transit, so the replica is as old as its newest change.
            placed = datetime.fromisoformat(self._received[self._applied - 1][1].placed_at)
            self._whole_at = max(self._whole_at or placed, placed)

    @property
    def connected(self) -> bool:
        """Whether the source sends, and the target can use it."""
        return self._connected() and not self.paused and self._whole

    @property
    def _whole(self) -> bool:
        return self.state in ("good", "unpausable")

    @property
    def applied(self) -> tuple[ShopOrder, ...]:
        return tuple(order for _, order in self._received[: self._applied])

    @property
    def busy(self) -> bool:
        """Whether the disks are being written now."""
        return (
            not self.frozen and self.state != "stopped" and (self._connected() or self._applied < len(self._received))
        )

    def snapshot(self, disk: Content) -> Content:
        """The content of a snapshot of a replica disk."""
        self.step()
        if self.state == "mirroring":
            return replace(disk, orders=self.applied, damage="mirroring", replicates=False)
        return replace(disk, orders=self.applied, damage="torn" if self.busy else "", replicates=False)

    def run_script(self, text: str) -> tuple[str, str]:
        """Run Command's script: standard output and standard error."""
        name = self._scripts.get(_normal(text))
        if name is None:
            return "", "The replication machine does not know this script."
        if name == "freeze" and self.state not in ("mirroring", "unknown", "unpausable"):
            self.step()
            self.frozen = True
        elif name == "thaw":
            self.frozen = False
        elif name == "reverse":
            self.state = "mirroring"
        if self.state == "unknown":
            return json.dumps(
                dict.fromkeys(("state", "queue_bytes", "replicated_until", "message")) | self._freezing
            ), ""
        status = {
            "state": "good" if self._whole else self.state,
            "connected": self._connected() and not self.paused,
            "queue_bytes": 512 * (len(self._received) - self._applied),
            "replicated_until": self._replicated_until(),
            "message": "job-1 refused to be paused" if name == "freeze" and self.state == "unpausable" else "simulated",
        }
        return json.dumps(self._freezing | status), ""

    @property
    def _freezing(self) -> dict[str, bool]:
        return {"frozen": self.frozen}

    def _replicated_until(self) -> str | None:
        """The source's last recovery point time: while it sends, the moment before what is still queued; after that,
        when it last sent and everything had been applied.
        """
        return self._whole_at.isoformat() if self._whole_at else None


def snapshot_of(content: object, replication: ReplicationMachine, sites: Sites) -> object:
    """The content of a snapshot: of the replica, or of a disk whose machine serves."""
    if not isinstance(content, Content):
        return content
    if content.replicates:
        return replication.snapshot(content)
    sql = sites.sql_of("recovery")
    return replace(content, orders=tuple(sql.orders())) if sql else content


def _normal(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
