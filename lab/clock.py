"""Simulated time: real time, faster by one factor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """``speed`` simulated seconds pass in every second of ``monotonic``. Zero is where the timeline starts."""

    def __init__(self, speed: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.speed = speed
        self._monotonic = monotonic
        self._zero = monotonic()
        self._zero_wall = time.time()

    def start(self) -> None:
        """Sets the zero of the timeline to now."""
        self._zero = self._monotonic()
        self._zero_wall = time.time()

    @property
    def ticks(self) -> float:
        """Simulated seconds that never restart, for ages that span the beginning of the timeline."""
        return self._monotonic() * self.speed

    @property
    def now(self) -> float:
        """Simulated seconds since zero."""
        return (self._monotonic() - self._zero) * self.speed

    def at(self, moment: datetime) -> float:
        """A wall-clock moment as simulated seconds since zero."""
        return (moment.timestamp() - self._zero_wall) * self.speed

    def wall(self, simulated: float) -> datetime:
        """The wall-clock moment of a simulated second."""
        return datetime.fromtimestamp(self._zero_wall + simulated / self.speed, UTC)

    def real(self, simulated: float) -> float:
        """How many real seconds a simulated duration takes."""
        return simulated / self.speed

    async def sleep(self, simulated: float) -> None:
        await asyncio.sleep(max(0.0, simulated) / self.speed)

    async def until(self, moment: float) -> None:
        """Sleeps until a simulated second of the timeline."""
        await self.sleep(moment - self.now)
