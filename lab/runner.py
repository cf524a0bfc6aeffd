"""Runs one scenario: the timeline, the wait until it has come to rest, the report."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.actions import Actions
from lab.audit import secrets_written
from lab.cloud.times import Times
from lab.options import LabOptions
from lab.processor_wait import Attempt, until_it_counts
from lab.report import build_report, judge, spoken_verdict
from lab.scenario import Scenario, ScenarioError
from lab.twin import Lab
from shared.models.plan import RecoveryPlan
from shared.models.runs import RecoveryRun


def is_moving(run: dict[str, Any]) -> bool:
    """Whether a run goes on by itself: it has not ended and does not wait for a person."""
    return run["outcome"] is None and run["waiting_for"] is None


LONGEST = 6 * 3600.0
"""Simulated seconds after which a scenario that does not come to rest has failed."""
_LOOK_EVERY = 6.0
"""Simulated seconds between two looks at the runs, which are at least a tenth of a real one apart."""

type Tell = Callable[[float, str], None]


async def run_scenario(
    scenario: Scenario,
    plan: RecoveryPlan,
    plan_file: Path,
    folder: Path,
    speed: float | None,
    tell: Tell,
    engine: str | None = None,
) -> dict[str, Any]:
    """Runs it in a lab of its own and returns the judged report. ``tell`` receives the events, in simulated seconds."""
    asked = speed or scenario.speed

    async def attempt(pace: float) -> Attempt[dict[str, Any]]:
        if pace < asked:
            tell(0.0, f"It failed while the machine was busy, so it is played again at speed {pace:g}.")
        async with Lab(plan, plan_file, options_of(scenario, pace, engine)) as lab:
            report = await play(lab, scenario, folder, tell)
        return Attempt(report, report["passed"], report["processor_wait"])

    return await until_it_counts(asked, attempt)


def options_of(scenario: Scenario, speed: float, engine: str | None = None) -> LabOptions:
    """The lab that a scenario asks for. Raises ``ScenarioError`` for times that it names wrongly."""
    try:
        times = Times().with_changes(scenario.times)
    except KeyError as error:
        raise ScenarioError(f"times: {error.args[0]}") from error
    return LabOptions(
        speed=speed,
        workers=scenario.workers,
        times=times,
        watch_tables=any(str(event.details.get("when", "")).startswith("during:") for event in scenario.timeline),
        real_schedules=scenario.real_schedules,
        engine=engine,
        people={name: list(roles) for name, roles in scenario.people.items()},
    )


async def play(lab: Lab, scenario: Scenario, folder: Path, tell: Tell) -> dict[str, Any]:
    """Plays the timeline in a lab that has just started, waits for rest, and judges what it came to."""
    actions = Actions(lab, folder)
    watcher = Watcher(lab, actions, tell)
    watching = asyncio.create_task(watcher.run())
    try:
        for event in sorted(scenario.timeline, key=lambda e: e.at):
            await lab.clock.until(event.at.total_seconds())
            details = ", ".join(f"{k} {v}" for k, v in event.details.items())
            tell(lab.clock.now, f"{event.do} {details}".strip())
            await actions.perform(event)
            watcher.changed()
        await _wait(lab, scenario, watcher)
    finally:
        for task in (watching, *actions.sending):
            task.cancel()
        await asyncio.gather(watching, *actions.sending, return_exceptions=True)
    report = await build_report(lab, scenario)
    leaked = await secrets_written(lab, json.dumps(report, default=str))
    spared = [f"worker.kill {kill} never happened" for kill in lab.functions.dispatcher.spared]
    report["failures"] = [*actions.failures, *watcher.failures, *leaked, *spared, *judge(report, scenario.expect)]
    report["passed"] = not report["failures"]
    return report


async def _wait(lab: Lab, scenario: Scenario, watcher: Watcher) -> None:
    if scenario.until != "idle":
        await lab.clock.until(scenario.until.total_seconds())
        return
    while not watcher.at_rest:
        if lab.clock.now > LONGEST:
            watcher.failures.append("The scenario did not come to rest within six simulated hours.")
            return
        await asyncio.sleep(watcher.pause)


class Watcher:
    """Follows the runs and the endpoints, reports changes, and detects when the lab has come to rest.

    That is when for twice the TTL nothing has changed, and the app's own timers have fired since: on a stalled machine
    silence alone would prove nothing.
    """

    def __init__(self, lab: Lab, actions: Actions, tell: Tell) -> None:
        self._lab = lab
        self._actions = actions
        self._tell = tell
        self._seen: dict[str, tuple[str, str | None]] = {}
        self._endpoints: dict[str, str] = {}
        self.failures: list[str] = []
        self.pause = max(0.1, lab.clock.real(_LOOK_EVERY))
        self.changed()

    def changed(self) -> None:
        self._last_change = self._lab.clock.now
        self._firings = self._lab.functions.firings()
        self.at_rest = False

    @property
    def _quiet(self) -> bool:
        lab = self._lab
        doubtful = any(e.enabled and e.failures and e.monitor != "Degraded" for e in lab.traffic.endpoints.values())
        return (
            lab.clock.now - self._last_change > 2 * lab.standing.ttl
            and lab.functions.came_round(self._firings)
            and not doubtful
            and not self._actions.sending
            and not lab.arm.operations.running
        )

    async def run(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(self.pause)

    async def _look(self) -> None:
        lab = self._lab
        for endpoint in lab.traffic.endpoints.values():
            if self._endpoints.get(endpoint.name, endpoint.monitor) != endpoint.monitor:
                self._tell(lab.clock.now, f"Traffic Manager: endpoint {endpoint.name} is {endpoint.monitor}")
                self.changed()
            self._endpoints[endpoint.name] = endpoint.monitor
        was_quiet = self._quiet
        status, body = await lab.call("GET", "runs?limit=50")
        if status != 200:
            self.changed()
            return
        runs = body["runs"]
        for run in reversed(runs):
            word = run["outcome"] or run["phase"]
            if self._seen.get(run["run_id"]) != (word, run["waiting_for"]):
                self._seen[run["run_id"]] = (word, run["waiting_for"])
                news = word.replace("_", " ")
                if run["waiting_for"] or run["outcome"]:
                    news += f". {spoken_verdict(RecoveryRun.model_validate(run), lab.clock.speed) or ''}"
                self._tell(lab.clock.now, f"{run['kind']} {run['run_id']}: {news}".strip())
                self.changed()
        moving = any(is_moving(run) for run in runs)
        self.at_rest = was_quiet and self._quiet and not moving
