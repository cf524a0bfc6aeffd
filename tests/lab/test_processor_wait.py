"""Stories that fail while the lab waits for a processor are played again, slower; every other failure counts at once."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lab import runner
from lab.processor_wait import BUSY, SLOWEST, ProcessorWait, slower
from lab.scenario import PROJECT, load_scenario


@pytest.mark.parametrize(
    ("speed", "asked", "wait", "then"),
    [
        (60.0, 60.0, BUSY, 30.0),
        (30.0, 60.0, BUSY, 15.0),
        (60.0 / SLOWEST, 60.0, 1.0, None),
        (60.0, 60.0, BUSY - 0.01, None),
    ],
)
def test_only_a_busy_lab_is_slowed_down_and_not_for_ever(
    speed: float, asked: float, wait: float, then: float | None
) -> None:
    assert slower(speed, asked, wait) == then


def played(monkeypatch: pytest.MonkeyPatch, *reports: tuple[bool, float]) -> list[float]:
    """The speeds at which a scenario was played, each with whether it passed and how long the lab waited."""
    speeds: list[float] = []

    async def play(*arguments: Any) -> dict[str, Any]:
        passed, wait = reports[len(speeds)]
        speeds.append(arguments[4])
        return {"passed": passed, "processor_wait": wait, "failures": [] if passed else ["It was late."]}

    monkeypatch.setattr(runner, "_play", play)
    scenario, plan, file = load_scenario(PROJECT / "lab" / "scenarios" / "blip.yaml")
    report = asyncio.run(runner.run_scenario(scenario, plan, file, Path(), 60.0, lambda at, text: None))
    assert report["passed"] is reports[-1][0]
    return speeds


def test_what_fails_while_the_machine_is_busy_is_played_again_at_half_the_speed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert played(monkeypatch, (False, 1.0), (True, 1.0)) == [60.0, 30.0]


def test_what_fails_on_a_quiet_machine_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert played(monkeypatch, (False, 0.0)) == [60.0]


def test_what_fails_at_every_speed_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert played(monkeypatch, (False, 1.0), (False, 1.0), (False, 1.0)) == [60.0, 30.0, 15.0]


def test_a_loop_that_wakes_late_has_waited() -> None:
    wait = ProcessorWait(list)
    for now in (0.0, 0.5, 1.0, 5.0, 5.5, 6.0, 6.5):
        wait._read(now)
    assert wait.worst > BUSY


def test_a_loop_that_wakes_in_time_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = ProcessorWait(list)
    for half_seconds in range(20):
        wait._read(half_seconds / 2)
    assert wait.worst == 0.0


def test_threads_that_compete_for_a_processor_wait_and_are_counted() -> None:
    """Every thread of a process counts: the engine's and the storage's main threads do nothing."""
    stop = time.monotonic() + 7.0
    everybody = [os.getpid()]

    def compete() -> None:
        while time.monotonic() < stop:
            pass

    async def watch() -> float:
        wait = ProcessorWait(lambda: everybody)
        watching = asyncio.create_task(wait.watch())
        await asyncio.sleep(stop - time.monotonic())
        watching.cancel()
        return wait.worst

    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    threads = [threading.Thread(target=compete) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        assert asyncio.run(watch()) > 0.0
    finally:
        for thread in threads:
            thread.join()
        os.sched_setaffinity(0, cpus)
