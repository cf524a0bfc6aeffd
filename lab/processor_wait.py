"""How long the lab's processes wait for a processor: on a busy machine simulated time runs away from them.

What a run does in simulated seconds is done by real processes in real time. One that is ready and gets no processor
is late by ``speed`` simulated seconds for every real one, and a bound of time that breaks then tells nothing.

Source: the second figure of each thread's ``/proc/PID/task/TID/schedstat``, nanoseconds spent ready and not running
(Linux, Documentation/scheduler/sched-stats.rst). Where a system does not tell it, only the lab's own lateness counts: a
loop that wakes seconds late, whatever held it, has lost as much of its time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import NamedTuple

EVERY = 0.5
WINDOW = 5.0
"""Real seconds: between two readings, and over which the share of waiting is taken."""

BUSY = 0.4
"""The share of waiting from which a failure is played again, slower. Alone on two cores a lab stays below 0.3."""

SLOWEST = 4.0
"""The largest slow-down of a story; that result counts."""


class Attempt[T](NamedTuple):
    """One playing of a story: its result, whether it held, and the share of time that its lab waited."""

    result: T
    held: bool
    waited: float


async def until_it_counts[T](asked: float, play: Callable[[float], Awaitable[Attempt[T]]]) -> T:
    """Plays a story at the requested speed, and slower while it fails and the machine is busy.

    What fails while the lab's processes wait for a processor says nothing; at half the speed they get their time. A
    busy machine makes a story slower, and never another one.
    """
    pace = asked
    while True:
        attempt = await play(pace)
        if attempt.held or attempt.waited < BUSY or pace <= asked / SLOWEST:
            return attempt.result
        pace /= 2


class ProcessorWait:
    """``processes`` says which process ids belong to the lab now; they change when a worker dies."""

    def __init__(self, processes: Callable[[], Iterable[int]]) -> None:
        self._processes = processes
        self._waited: dict[int, float] = {}
        self._total = 0.0
        self._readings: deque[tuple[float, float]] = deque()
        self.worst = 0.0
        """The largest share so far: seconds that all the processes waited, together, in a second of a window."""

    async def watch(self) -> None:
        """Reads until it is cancelled."""
        while True:
            self._read(time.monotonic())
            await asyncio.sleep(EVERY)

    def _read(self, now: float) -> None:
        for process in self._processes():
            waited = _waited(process)
            self._total += max(0.0, waited - self._waited.get(process, waited))
            self._waited[process] = waited
        if self._readings:
            self._total += max(0.0, now - self._readings[-1][0] - 2 * EVERY)
        self._readings.append((now, self._total))
        while now - self._readings[0][0] > WINDOW:
            then, total = self._readings.popleft()
            self.worst = max(self.worst, (self._total - total) / (now - then))


def _waited(process: int) -> float:
    """Seconds that all of a process's threads have waited so far."""
    return sum(_of_thread(thread) for thread in Path("/proc").glob(f"{process}/task/*/schedstat"))


def _of_thread(schedstat: Path) -> float:
    try:
        return int(schedstat.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):  # It has ended.
        return 0.0
