"""The copy home that a person's script or Double-Take makes: Azure's orders arrive in the primary's database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from lab.clock import Clock
from lab.site.world import Sites

_EVERY = 3.0
"""Simulated seconds between two rounds."""


class HomeCopy:
    """Reads what the database has, in whatever state it is, as log backups do. ``lag`` is in simulated seconds."""

    def __init__(self, clock: Clock, sites: Sites) -> None:
        self._clock = clock
        self._sites = sites
        self._lag = 0.0
        self.state: Literal["start", "stop", "stall"] = "stop"

    def order(self, state: Literal["start", "stop", "stall"], lag: float) -> None:
        """Starts, stops or stalls the copy: a stalled one seems to run, and nothing arrives."""
        self.state = state
        self._lag = lag if state == "start" else self._lag

    async def run(self) -> None:
        """Copies until cancelled."""
        while True:
            if self.state == "start":
                self._copy(datetime.now(UTC) - timedelta(seconds=self._clock.real(self._lag)))
            await self._clock.sleep(_EVERY)

    def finish(self) -> bool:
        """The final copy: everything arrives at once. False when the copy does not run, or home is out of reach."""
        return self.state == "start" and self._copy(datetime.now(UTC))

    def _copy(self, until: datetime) -> bool:
        source, target = self._sites.sql_of("recovery"), self._sites.primary_sql
        if source is None or target is None or not self._sites.connected():
            return False
        target.load([order for order in source.orders() if datetime.fromisoformat(order.placed_at) <= until])
        return True
