"""Everything outside Azure's compute: the primary and the lines to it, the observer, Traffic Manager, the replica."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from shared.models.detection import Signal
from shared.models.evidence import Evidence, Round, State
from shared.models.orders import Sources
from shared.models.replica import ReplicaState
from shared.models.routing import EndpointView, Routing

MONITOR_LAG = timedelta(seconds=30)
"""How late Traffic Manager notices: its probes run every 10 to 30 seconds."""

PORTAL, HOUSEKEEPING = "somebody in the portal", "housekeeping"
"""Actors other than runs that may switch an endpoint."""

Line = Literal["public", "private", "observer"]
Endpoint = Literal["primary", "recovery"]


@dataclass
class Primary:
    """The primary site. ``cut`` holds the lines that are down; the observer has its own line."""

    clock: Callable[[], datetime]
    alive: bool = True
    cut: set[Line] = field(default_factory=set)
    azure_in_trouble: bool = False
    last_alive: datetime | None = None
    lag: timedelta = MONITOR_LAG
    last_managed: datetime | None = None
    writes_stopped_at: datetime | None = None
    """Since when a hook has stopped its writes."""
    hook_lies: bool = False
    """The hook reports success, and does nothing."""
    _reached: list[tuple[datetime, bool]] = field(default_factory=list)

    @property
    def is_managed(self) -> bool:
        """Whether replication and the fence hook reach it: it is up, and so is the private line."""
        return self.alive and "private" not in self.cut

    @property
    def heard_at(self) -> datetime | None:
        """When replication last received data from it."""
        return self.clock() if self.is_managed else self.last_managed

    @property
    def newest_commit(self) -> datetime | None:
        """Its newest commit, for a client that can query its database."""
        return (self.writes_stopped_at or self.clock()) if self.is_managed and "observer" not in self.cut else None

    def newest_commit_held(self, until: datetime) -> datetime:
        """The newest commit in a copy of its data as of ``until``."""
        return min(until, self.writes_stopped_at or until)

    @property
    def serves(self) -> bool:
        """Whether it serves customers."""
        return self.alive and "public" not in self.cut

    @property
    def is_seen_to_serve(self) -> bool:
        return self.serves and "observer" not in self.cut

    def change(self, *, alive: bool | None = None, cut: Line | None = None, heal: Line | None = None) -> None:
        if self.alive:
            self.last_alive = self.clock()
        self.last_managed = self.heard_at
        self.alive = self.alive if alive is None else alive
        self.cut = (self.cut | {cut} if cut else self.cut) - ({heal} if heal else set())
        self._reached.append((self.clock(), self.serves))

    @property
    def monitor(self) -> str:
        """Traffic Manager's status of the primary, with its delay."""
        then = self.clock() - self.lag
        reached = next((up for at, up in reversed(self._reached) if at <= then), True)
        return "Online" if reached else "Degraded"

    def look(self, sources: Sources) -> Round:
        """One round of evidence. An observer without connectivity reaches nothing, Azure included."""
        now = self.clock()
        return Round(at=now, evidence=[self._answer(n, s, now) for n, s in sources.detection.signals.items()])

    def _answer(self, name: str, signal: Signal, now: datetime) -> Evidence:
        blind, age = "observer" in self.cut, 0.0
        state: State
        if signal.role == "control":
            state = "down" if blind else "up"
        elif signal.http or signal.sql:
            reached = self.alive and not blind and signal.path not in self.cut
            state = "up" if reached else "down"
        elif blind:
            state = "no_data"
        elif signal.traffic_manager is not None:
            state = "up" if self.monitor == "Online" else "down"
        elif signal.logs:
            age = 0.0 if self.alive else (now - (self.last_alive or now)).total_seconds()
            state = "up" if age <= signal.logs.stale_after.total_seconds() else "down"
        else:
            state = "down" if self.azure_in_trouble else "up"
        counts_as: State = "down" if state == "no_data" and signal.no_data == "down" else state
        return Evidence(
            signal=name,
            path=signal.path,
            role=signal.role,
            state=state,
            counts_as=counts_as,
            detail="model",
            age=age,
            direct=signal.http is not None or signal.sql is not None,
        )


class Move(NamedTuple):
    """A change of an endpoint of Traffic Manager. ``by`` is a run, ``PORTAL`` or ``HOUSEKEEPING``."""

    at: datetime
    endpoint: Endpoint
    enabled: bool
    by: str


@dataclass
class TrafficManager:
    """Both endpoints and every change of them."""

    clock: Callable[[], datetime]
    primary: bool = True
    recovery: bool = False
    moves: list[Move] = field(default_factory=list)

    def switch(self, endpoint: Endpoint, enabled: bool, by: str) -> None:
        if getattr(self, endpoint) != enabled:
            self.moves.append(Move(self.clock(), endpoint, enabled, by))
        setattr(self, endpoint, enabled)

    def routing(self, monitor: str) -> Routing:
        return Routing(
            primary=EndpointView(
                enabled=self.primary, monitor=monitor if self.primary else "Disabled", target="primary"
            ),
            recovery=EndpointView(enabled=self.recovery, monitor="Online", target="recovery"),
        )


@dataclass
class Replica:
    """The replication machine's disks. They are read and never written; ``era`` counts freezes and thaws.

    Snapshots are consistent when they are of one era and the replica was frozen.
    """

    clock: Callable[[], datetime]
    state: Literal["good", "mirroring", "stopped", "unknown"] = "good"
    frozen: bool = False
    connected: Callable[[], bool] = lambda: True
    heard_at: Callable[[], datetime | None] = lambda: None
    """Whether the source sends, and when it last sent."""
    era: int = 0
    thawed_at: datetime | None = None
    held_until: datetime | None = None
    """The time of its data while it is frozen."""

    @property
    def holds_until(self) -> datetime | None:
        """The time of its data."""
        return self.held_until if self.frozen else self.heard_at()

    def run(self, script: str) -> list[dict[str, Any]]:
        """Behaves like the plan's own scripts: a mirroring replica is not frozen."""
        wanted = {"freeze": self.state != "mirroring" or self.frozen, "thaw": False}.get(script, self.frozen)
        if wanted != self.frozen:
            self.frozen, self.era = wanted, self.era + 1
            self.held_until = self.heard_at() if wanted else None
            self.thawed_at = self.thawed_at if wanted else self.clock()
        state = ReplicaState(
            state=self.state,
            frozen=self.frozen,
            connected=self.connected(),
            queue_bytes=0,
            replicated_until=self.holds_until,
            message="model",
        ).model_dump(mode="json")
        return [{"code": "ComponentStatus/StdOut/succeeded", "message": json.dumps(state)}]
