"""Plays one story in a lab of its own under observation, and returns the final state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.actions import Actions
from lab.chaos.story import PLAN, Story
from lab.chaos.watching import Watching
from lab.chaos.world import final_state
from lab.cloud.faults import Faults
from lab.cloud.times import Times
from lab.host.wire import WorkerDiedError
from lab.options import LabOptions
from lab.report import build_report, judge
from lab.runner import LONGEST, Watcher, is_moving
from lab.scenario import PROJECT, Event
from lab.twin import Lab

STORY_LIMIT = 4 * 3600.0
"""Simulated seconds after which a story is abandoned."""

PATIENCE = 3600.0
"""Simulated seconds within which every run must have ended or wait for a person."""

ANSWERS = 8
"""The number of answers to a run at the end of a random story before it counts as never ending."""


@dataclass
class Played:
    """A story's result. ``state`` can be compared with another playing of the same story."""

    failures: list[str] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    activities: dict[str, list[str]] = field(default_factory=dict)
    """The activities that occurred, and where something was written while each ran: azure, history."""
    killed: bool = False
    processor_wait: float = 0.0
    """The largest share of time that the lab waited for a processor."""
    seconds: float = 0.0
    log: list[str] = field(default_factory=list)


class ChaosLab(Lab):
    """The lab ``without`` some timers."""

    def __init__(self, story: Story, options: LabOptions) -> None:
        super().__init__(story.plan(), PLAN, options)
        self._without = story.without

    def settings(self, plans: Path) -> dict[str, str]:
        off = {f"AzureWebJobs.{name}.Disabled": "true" for name in self._without}
        return super().settings(plans) | off


type MakeLab = Callable[[Story, LabOptions], Lab]


async def play(story: Story, speed: float, *more: dict[str, Any], make_lab: MakeLab = ChaosLab) -> Played:
    """Plays ``story`` with ``more`` events on its timeline. Its problems are in ``failures``."""
    began = time.monotonic()
    played = Played()
    try:
        async with asyncio.timeout(STORY_LIMIT / speed):
            await _play(story, speed, more, played, make_lab)
    except TimeoutError:
        played.failures.append(f"It did not end within {STORY_LIMIT / speed:g} real seconds.")
    played.seconds = time.monotonic() - began
    return played


async def _play(
    story: Story, speed: float, more: tuple[dict[str, Any], ...], played: Played, make_lab: MakeLab
) -> None:
    scenario = story.scenario(*more)
    options = LabOptions(speed=speed, times=Times().with_changes(scenario.times), watch_tables=True)
    async with make_lab(story, options) as lab:
        stage = Stage(lab, played)
        async with stage:
            await stage.perform(sorted(scenario.timeline, key=lambda event: event.at), 0.0)
            for number, chapter in enumerate(story.chapters, start=1):
                began = await stage.next_chapter(number, chapter.says)
                await stage.perform(story.events(chapter), began)
            if story.closes:
                await stage.close()
            await stage.rest()
        report = await build_report(lab, scenario)
        played.state = await final_state(lab, report)
        played.failures += stage.heard
        played.failures += judge(report, scenario.expect)
        played.failures += await stage.watching.broken(report)
        occurred = sorted(stage.watching.given & set(lab.functions.dispatcher.activities))
        played.activities = {name: sorted(stage.watching.writes.get(name, ())) for name in occurred}
        played.killed = stage.watching.first_worker.gone.is_set()


class Stage:
    """One lab, its actor, and its observers. Use ``async with``."""

    def __init__(self, lab: Lab, played: Played) -> None:
        self.lab = lab
        self.watching = Watching(lab)
        self._actions = Actions(lab, PROJECT)
        self._played = played
        self._watcher = Watcher(lab, self._actions, self._tell)
        self._seen: list[tuple[Any, ...]] = []

    def _tell(self, at: float, text: str) -> None:
        self._played.log.append(f"{at:6.0f} s  {text}")

    async def __aenter__(self) -> Stage:
        self._following = asyncio.create_task(self._watcher.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (self._following, *self._actions.sending):
            task.cancel()
        await asyncio.gather(self._following, *self._actions.sending, return_exceptions=True)
        self._played.processor_wait = self.lab.processor_wait.worst

    @property
    def heard(self) -> list[str]:
        """The failures of the actions and the watcher."""
        return [*self._actions.failures, *self._watcher.failures]

    async def perform(self, events: list[Event], zero: float) -> None:
        """Does each event at its time, counted from ``zero``."""
        for event in events:
            await self.lab.clock.until(zero + event.at.total_seconds())
            details = ", ".join(f"{k} {v}" for k, v in event.details.items())
            self._tell(self.lab.clock.now, f"{event.do} {details}".strip())
            self.watching.before(event)
            await self._do(event)
            self.watching.after(event)
            self._watcher.changed()

    async def _do(self, event: Event) -> None:
        """A timer whose worker dies fires again at its next turn."""
        while True:
            try:
                return await self._actions.perform(event)
            except WorkerDiedError:
                await asyncio.sleep(0.2)

    async def next_chapter(self, number: int, says: str = "") -> float:
        """Waits until runs have moved on and then all ended or wait; returns that moment."""
        runs = await self._still()
        if runs is None:
            self._played.failures.append(f"Nothing came to rest before chapter {number}.")
            runs = []
        waiting = " ".join(str(run["waiting_for"] or "") for run in runs if run["outcome"] is None)
        if says.lower() not in waiting.lower():
            self._played.failures.append(
                f"Before chapter {number} a run must ask with {says!r}; it asked: {waiting!r}."
            )
        return self.lab.clock.now

    async def _still(self) -> list[dict[str, Any]] | None:
        """The runs, once they differ from the last time and none moves; None when that never comes.

        A run that has ended has given its plan back, too.
        """
        limit = self.lab.clock.now + PATIENCE
        while self.lab.clock.now < limit:
            status, body = await self.lab.call("GET", "runs?limit=50")
            runs: list[dict[str, Any]] = body.get("runs", [])
            marks = sorted((r["run_id"], r["outcome"], r["phase"], r["holds"]) for r in runs)
            moving = any(is_moving(r) for r in runs)
            if status == 200 and not moving and marks != self._seen and await self._given_back(runs):
                self._seen = marks
                return runs
            await asyncio.sleep(self._watcher.pause)
        return None

    async def _given_back(self, runs: list[dict[str, Any]]) -> bool:
        _, plan = await self.lab.call("GET", f"plans/{self.lab.plan.name}")
        holder = plan.get("active_run", "unknown")
        return holder is None or any(run["run_id"] == holder and run["outcome"] is None for run in runs)

    async def rest(self) -> None:
        """Waits until nothing moves any more, as a scenario's ``idle`` does."""
        limit = min(LONGEST, self.lab.clock.now + PATIENCE)
        while not self._watcher.at_rest:
            if self.lab.clock.now > limit:
                self._played.failures.append("The lab did not come to rest within a simulated hour.")
                self._played.log += await self._where_the_workers_stand()
                return
            await asyncio.sleep(self._watcher.pause)

    async def _where_the_workers_stand(self) -> list[str]:
        """Every worker's current work and last log lines: something hangs that should not."""
        log = self.lab.folder / "worker.log"
        if not log.exists():
            return []
        for worker in self.lab.functions.workers:
            worker.ask_where_it_stands()
        await asyncio.sleep(1)
        busy = [f"worker {worker.pid} has {worker.busy} invocations" for worker in self.lab.functions.workers]
        return [*busy, *log.read_text(errors="replace").splitlines()[-150:]]

    async def close(self) -> None:
        """Repairs everything, then answers every waiting run until it has ended."""
        await self._mend()
        for number in range(ANSWERS):
            await self.rest()
            _, body = await self.lab.call("GET", "runs?limit=50")
            waiting = [run for run in body.get("runs", []) if run["outcome"] is None]
            if not waiting:
                return
            for run in waiting:
                await self._answer(run, number)
                self._watcher.changed()
        self._played.failures.append(f"A run was answered {ANSWERS} times and still has no outcome.")

    async def _mend(self) -> None:
        lab = self.lab
        lab.arm.faults = Faults()
        repair: list[dict[str, Any]] = [
            {"do": "storage.start"},
            {"do": "azure.health", "state": "well"},
            *({"do": "network.heal", "path": path} for path in ("public", "private", "observer")),
            {"do": "replication.resume"},
            {"do": "replication.state", "state": "good"},
            *({"do": "sql.state", "target": f"{site}/sql", "state": "ONLINE"} for site in ("primary", "recovery")),
            *({"do": "site.respond", "target": f"{site}/iis", "status": 0} for site in ("primary", "recovery")),
        ]
        await self.perform([Event.model_validate({"at": "0s"} | event) for event in repair], lab.clock.now)

    async def _answer(self, run: dict[str, Any], number: int) -> None:
        """Approves, proceeds or retries at first, and later aborts what still waits, where that is allowed."""
        words = [word for word in run["answers"] if word in ("approve", "proceed", "retry")]
        if number > 1:
            words = ["abort", *words]
        for word in words:
            self._tell(self.lab.clock.now, f"a person answers {run['run_id']}: {word}")
            self.watching.answered.append(run["run_id"])
            status, _ = await self.lab.call("POST", f"runs/{run['run_id']}/{word}", {"reason": "chaos"})
            if status == 202:
                return
