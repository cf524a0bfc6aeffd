"""A scenario that fails while the lab waits for a processor is replayed, slower; every other failure counts at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from lab.processor_wait import BUSY, Attempt, ProcessorWait, until_it_counts
from tests.waiting import until


def speeds_of(*attempts: tuple[bool, float]) -> list[float]:
    """The speeds at which a scenario ran, with its result and its share of waiting."""
    speeds: list[float] = []

    async def play(speed: float) -> Attempt[bool]:
        held, waited = attempts[len(speeds)]
        speeds.append(speed)
        return Attempt(held, held, waited)

    assert asyncio.run(until_it_counts(60.0, play)) is attempts[-1][0]
    return speeds


def test_what_fails_while_the_machine_is_busy_is_played_again_at_half_the_speed() -> None:
    assert speeds_of((False, BUSY), (True, 1.0)) == [60.0, 30.0]


def test_what_fails_on_a_quiet_machine_counts_at_once() -> None:
    assert speeds_of((False, BUSY - 0.01)) == [60.0]


def test_what_holds_counts_at_once() -> None:
    assert speeds_of((True, 1.0)) == [60.0]


def test_what_fails_at_every_speed_fails() -> None:
    assert speeds_of((False, 1.0), (False, 1.0), (False, 1.0)) == [60.0, 30.0, 15.0]


def test_a_loop_that_wakes_late_has_waited() -> None:
    wait = ProcessorWait(list)
    for now in (0.0, 0.5, 1.0, 5.0, 5.5, 6.0, 6.5):
        wait._read(now)
    assert wait.worst > BUSY


def test_a_loop_that_wakes_in_time_has_not() -> None:
    wait = ProcessorWait(list)
    for half_seconds in range(20):
        wait._read(half_seconds / 2)
    assert wait.worst == 0.0


COMPETITION = """
import hashlib, os, threading
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
for _ in range(2):
    threading.Thread(target=hashlib.pbkdf2_hmac, args=("sha256", b"", b"", 2**30), daemon=True).start()
threading.Event().wait()
"""
"""Two threads that hold no lock of the interpreter's want one processor; the main thread sleeps."""


def test_threads_that_compete_for_a_processor_wait_and_are_counted() -> None:
    """Every thread of a process counts: the main threads of the engine and the storage are idle."""
    competing = subprocess.Popen([sys.executable, "-c", COMPETITION])

    async def watch() -> None:
        wait = ProcessorWait(lambda: [competing.pid])
        watching = asyncio.create_task(wait.watch())
        await until(lambda: wait.worst > 0.5, 60.0, "a share of waiting")
        watching.cancel()

    try:
        asyncio.run(watch())
    finally:
        competing.kill()
        competing.wait()
