"""One cell: a story played once in a process of its own, perhaps with the worker killed in it."""

from __future__ import annotations

import asyncio
import tempfile
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.chaos import faults, random_stories
from lab.chaos.stage import ChaosLab, MakeLab, Played, play
from lab.chaos.stories import STORIES
from lab.chaos.story import Story
from lab.chaos.world import differences
from lab.host.dispatch import Loss
from lab.host.wire import WorkerProcess
from lab.processor_wait import Attempt, until_it_counts
from lab.scenario import PROJECT

WHEN = ("before", "during-azure", "during-history", "after")
"""``during`` is after a write to Azure or to the history was applied, and before the activity receives the answer."""


OUTSIDE_RUNS = frozenset({"check_itself"})
"""Activities that change nothing and belong to no run, so that a crash in them leaves no trace."""


@dataclass(frozen=True)
class Cell:
    """``kind`` is matrix, faults or random. In the matrix a cell without ``activity`` is the story's reference."""

    kind: str
    story: str
    activity: str = ""
    when: str = ""
    seed: int = 0
    number: int = 0
    loses: Loss = "process"
    """What is lost when the worker is killed: activities fail with a process, and wait with an instance."""
    activities: tuple[str, ...] = field(default=(), compare=False)

    @property
    def title(self) -> str:
        if self.kind == "random":
            return f"random {self.seed}/{self.number}"
        return " ".join(part for part in (self.story, self.when, self.activity) if part)

    @property
    def command(self) -> str:
        """The command that plays this cell alone."""
        words = [".venv/bin/python -m lab.chaos --only", self.kind]
        match self.kind:
            case "matrix":
                words += ["--story", self.story]
                words += ["--activity", self.activity, "--when", self.when] if self.activity else []
                words += ["--loses", self.loses] if self.activity and self.loses != "process" else []
            case "faults":
                words += ["--story", self.story]
            case "random":
                words += ["--seed", str(self.seed), "--number", str(self.number)]
        return " ".join(words)

    def staged(self) -> tuple[Story, list[dict[str, Any]]]:
        """The story of this cell, and the additions to its timeline."""
        match self.kind:
            case "matrix":
                return STORIES[self.story], [self._kill()] if self.activity else []
            case "faults":
                return faults.STORIES[self.story], []
            case _:
                return random_stories.tell(self.seed, self.number, list(self.activities)), []

    def _kill(self) -> dict[str, Any]:
        when, _, write = self.when.partition("-")
        kill = {"at": "0s", "do": "worker.kill", "when": f"{when}:{self.activity}", "loses": self.loses}
        return kill | ({"write": write} if write else {})


def run_cell(cell: Cell, speed: float, reference: Played | None = None) -> Played:
    """Plays the cell and compares its end with the reference's, slower if the machine is busy.

    A slower cell is compared with a reference as slow, since the first may have been disturbed too. An error of the lab
    itself is a failure like any other.
    """

    async def attempt(pace: float) -> Attempt[Played]:
        against = reference
        if reference and pace < speed:
            against = await play_cell(Cell(cell.kind, cell.story), pace)
        played = await play_cell(cell, pace, against)
        return Attempt(played, not played.failures, played.processor_wait)

    return asyncio.run(until_it_counts(speed, attempt))


async def play_cell(cell: Cell, speed: float, reference: Played | None = None, make_lab: MakeLab = ChaosLab) -> Played:
    """Plays the cell once, in a lab of the given kind."""
    played = await _play(cell, speed, make_lab)
    if reference:
        played.failures += differences(played.state, reference.state)
    return played


async def _play(cell: Cell, speed: float, make_lab: MakeLab) -> Played:
    story, more = cell.staged()
    try:
        played = await play(story, speed, *more, make_lab=make_lab)
    except Exception as error:  # noqa: BLE001 (an error of one cell must not end the others)
        at = " < ".join(
            f"{Path(f.filename).name}:{f.lineno}" for f in reversed(traceback.extract_tb(error.__traceback__))
        )
        return Played(failures=[f"The lab failed: {type(error).__name__}: {error} ({at})"])
    if cell.activity and not played.killed:
        played.failures.append(f"The worker was never killed {cell.when} {cell.activity}.")
    return played


def app_activities() -> list[str]:
    """The names of the app's activities, from its own index; those of the durable library are not the app's."""
    return asyncio.run(_index())


async def _index() -> list[str]:
    with tempfile.TemporaryDirectory(prefix="coldsite-index-") as folder:
        settings = {"PYTHONPATH": str(PROJECT), "COLDSITE_PLANS": str(PROJECT / "plans")}
        worker = await WorkerProcess.start(PROJECT, settings, Path(folder), Path(folder) / "worker.log")
        await worker.stop()
    return sorted(
        function["name"]
        for function in worker.index
        if any(binding["type"] == "activityTrigger" for binding in function["bindings"])
        and not function["name"].startswith("BuiltIn__")
        and function["name"] not in OUTSIDE_RUNS
    )


def matrix_cells(story: Story, occurring: dict[str, list[str]], loses: Loss = "process") -> list[Cell]:
    """A story's crash points: each activity that occurs in it, before, during each kind of write, and after."""
    return [
        Cell("matrix", story.name, name, when, loses=loses)
        for name, writes in occurring.items()
        if story.crash_in is None or name in story.crash_in
        for when in WHEN
        if not when.startswith("during") or when.partition("-")[2] in writes
    ]


def uncovered(index: list[str], occurring: dict[str, dict[str, list[str]]]) -> list[str]:
    """The problems of the matrix itself: activities that no story reaches, and crash points that never occur."""
    tried = {c.activity for name, found in occurring.items() for c in matrix_cells(STORIES[name], found)}
    problems = [
        f"The activity {name} occurs in no story of lab/chaos/stories.py. Extend `failover` if a failover runs it, "
        "`drill` if a drill does, else add a story."
        for name in index
        if name not in tried
    ]
    for name, found in occurring.items():
        absent = sorted((STORIES[name].crash_in or frozenset()) - set(found))
        problems += [
            f"The story {name} names {activity} in crash_in, but it does not occur in it." for activity in absent
        ]
    return problems
