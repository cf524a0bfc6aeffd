"""The invariants of every story. ``Watching`` records a lab's events; ``broken`` lists the violations."""

from __future__ import annotations

import copy
from collections import Counter
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from lab.host.wire import WorkerProcess
from lab.runner import is_moving
from lab.scenario import Event
from lab.site.iis import IisServer
from lab.site.sql_server import SqlServer
from lab.twin import Lab
from shared.models.ids import parse_run_id
from shared.models.resource_ids import take_apart

CERTAIN = 120.0
"""Simulated seconds for which the primary must have served, unbroken, before a cutover counts as wrong."""

SLACK = 10.0
"""Simulated seconds by which the lab's clock and the app's may differ."""


class Move(NamedTuple):
    """A change of the enabled endpoints. ``by`` is ``coldsite`` or ``a person``; ``opens`` the recovery site."""

    at: float
    by: str
    enabled: frozenset[str]
    opens: bool
    serving_for: float


class Watching:
    """The observations of a story."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.moves: list[Move] = []
        self.given: set[str] = set()
        """The functions that the first worker was given; a story without a crash has no other worker."""
        self.writes: dict[str, set[str]] = {}
        """By function: whether Azure or the history was written to while it ran, by this or a concurrent function."""
        self.answered: list[str] = []
        self.first_worker = lab.functions.workers[0]
        self._running: Counter[str] = Counter()
        self._blind = False
        self._serving_since: float | None = 0.0
        self._enabled = self._endpoints()
        self._group = f"/resourcegroups/{take_apart(lab.plan.replication.machine).group}/".lower()
        self._replica = self._replica_group()
        self._watch_functions(self.first_worker)
        self._watch_writes()

    # Seeing

    def _watch_functions(self, worker: WorkerProcess) -> None:
        invoke = worker.invoke

        async def noted(function: str, inputs: list[tuple[str, str, Any]]) -> dict[str, Any]:
            self.given.add(function)
            self._running[function] += 1
            try:
                return await invoke(function, inputs)
            finally:
                self._running[function] -= 1

        worker.invoke = noted  # type: ignore[method-assign]

    def _watch_writes(self) -> None:
        """Notes every write that was applied, and every change of the endpoints through it: Coldsite's."""
        strike = self._lab.functions.dispatcher.strike

        def noted(write: Literal["azure", "history"]) -> bool:
            for function, count in self._running.items():
                if count:
                    self.writes.setdefault(function, set()).add(write)
            self._note("coldsite")
            return strike(write)

        self._lab.functions.dispatcher.strike = noted  # type: ignore[method-assign]

    def _note(self, by: str) -> None:
        enabled = self._endpoints()
        if enabled == self._enabled:
            return
        opens = self._lab.plan.traffic.recovery.endpoint in enabled - self._enabled
        now = self._lab.clock.now
        serving_for = 0.0 if self._serving_since is None else now - self._serving_since
        self.moves.append(Move(now, by, enabled, opens, serving_for))
        self._enabled = enabled

    def _endpoints(self) -> frozenset[str]:
        return frozenset(e.name for e in self._lab.traffic.endpoints.values() if e.enabled)

    def before(self, event: Event) -> None:
        """Distinguishes a person's change in the portal from Coldsite's."""
        if event.do.startswith("traffic."):
            self._note("coldsite")

    def after(self, event: Event) -> None:
        """The effect of an event on the customers and on the observer."""
        if event.do.startswith("traffic."):
            self._note("a person")
        if event.details.get("path") == "observer":
            self._blind = event.do == "network.cut"
        if event.do in ("operator.approve", "operator.proceed"):
            self.answered.append(str(event.details.get("run", "the current run")))
        serving = self._primary_serves() and not self._blind
        if not serving:
            self._serving_since = None
        elif self._serving_since is None:
            self._serving_since = self._lab.clock.now

    def _primary_serves(self) -> bool:
        stands = [stand for key, stand in self._lab.sites.stands.items() if key.startswith("primary/")]
        for stand in stands:
            if not stand.running or "public" in stand.cut:
                return False
            if isinstance(stand.server, IisServer) and stand.server.override:
                return False
            if isinstance(stand.server, SqlServer) and stand.server.state != "ONLINE":
                return False
        return True

    def _replica_group(self) -> dict[str, Any]:
        """The replica group's resources, and what is on its disks."""
        compute = self._lab.compute
        found = {key: (r, compute.contents.get(key)) for key, r in compute.resources.items() if self._group in key}
        return copy.deepcopy(found)

    # Judging

    async def broken(self, report: dict[str, Any]) -> list[str]:
        """The violations, one sentence each."""
        runs = report["runs"]
        return [
            *self._moves_explained(runs),
            *self._one_site(runs),
            *self._one_at_a_time(runs),
            *self._nothing_left(report),
            *self._replica_as_it_was(report),
            *self._recovery_stands(report),
            *self._source_writes(report),
            *await self._every_run_ends(runs),
            *(["The history is not intact."] if runs and not report["journal_intact"] else []),
        ]

    def _moves_explained(self, runs: list[dict[str, Any]]) -> list[str]:
        problems = []
        for move in (m for m in self.moves if m.by == "coldsite"):
            at = f"At {move.at:.0f} s Coldsite set the endpoints to {', '.join(sorted(move.enabled)) or 'none'}"
            mover = next((run for run in runs if _moved_by(run, move)), None)
            if mover is None:
                problems.append(f"{at}, and no run's history explains it.")
            elif move.opens and move.serving_for > CERTAIN and not self._asked(mover):
                problems.append(
                    f"{at}, while the primary had served for {move.serving_for:.0f} s and could be seen to."
                )
        return problems

    def _asked(self, run: dict[str, Any]) -> bool:
        """Whether a person has chosen: by starting the run, or by answering one."""
        return run["trigger"] == "operator" or bool(self.answered)

    def _one_site(self, runs: list[dict[str, Any]]) -> list[str]:
        """After a finished cutover only a person in the portal can have both sites enabled."""
        ended = [r["ended_at"] for r in runs if (r["kind"], r["outcome"]) == ("failover", "succeeded")]
        by_hand = any(m.by == "a person" and ended and m.at > max(ended) - SLACK for m in self.moves)
        if ended and not by_hand and len(self._endpoints()) != 1:
            return [f"A finished cutover left enabled: {', '.join(sorted(self._endpoints())) or 'nothing'}."]
        return []

    def _source_writes(self, report: dict[str, Any]) -> list[str]:
        """Where customers are, writes are not stopped while no run is at work."""
        source, waiting = self._lab.sites.primary_sql, any(run["outcome"] is None for run in report["runs"])
        azure = self._lab.sites.sql_of("recovery")
        if azure and azure.state == "RESTORING" and report["active_site"] == "recovery" and not waiting:
            return ["Customers are in Azure, and its writes are still stopped."]
        if source and source.read_only and report["active_site"] == "primary" and not waiting:
            return ["Customers are at the primary, and its writes are still stopped."]
        return []

    @staticmethod
    def _one_at_a_time(runs: list[dict[str, Any]]) -> list[str]:
        """At most one run at a time; a drill that a failover has interrupted clears itself away beside it."""
        problems = []
        holders = sorted((r for r in runs if r["outcome"] != "preempted"), key=lambda r: r["started_at"])
        for earlier, later in pairwise(holders):
            if earlier["ended_at"] is None or later["started_at"] < earlier["ended_at"] - SLACK:
                problems.append(f"{later['run_id']} began before {earlier['run_id']} had ended.")
        return problems

    @staticmethod
    def _nothing_left(report: dict[str, Any]) -> list[str]:
        """A failed run keeps its recovery point, which may be the last one."""
        failed = [short(r["run_id"]) for r in report["runs"] if (r["kind"], r["outcome"]) == ("failover", "failed")]
        names = [resource.split("/")[-1] for resource in report["resources_left"] if not _kept(resource, failed)]
        return [f"Left behind: {', '.join(names)}."] if names else []

    def _replica_as_it_was(self, report: dict[str, Any]) -> list[str]:
        now = self._replica_group()
        changed = [key for key in sorted(self._replica.keys() | now.keys()) if self._replica.get(key) != now.get(key)]
        problems = [f"In the replica group {key.split('/')[-1]} is not as it was." for key in changed]
        held = any(r["kind"] == "failover" and r["outcome"] is None for r in report["runs"])
        serving = report["active_site"] != "primary"
        if self._lab.replication.frozen and not held and not serving:
            problems.append("The replica is still frozen, and no failover needs that.")
        return problems

    def _recovery_stands(self, report: dict[str, Any]) -> list[str]:
        succeeded = any((r["kind"], r["outcome"]) == ("failover", "succeeded") for r in report["runs"])
        if not succeeded:
            return []
        lacking = [n for n in self._lab.plan.recovery.workloads if f"recovery/{n}" not in self._lab.sites.stands]
        return [f"A failover succeeded, and the recovery site lacks {', '.join(lacking)}."] if lacking else []

    async def _every_run_ends(self, runs: list[dict[str, Any]]) -> list[str]:
        problems = []
        for run in runs:
            if is_moving(run):
                problems.append(f"{run['run_id']} neither ended nor waits for a person: it is {run['phase']}.")
            status = await self._lab.functions.dispatcher.status(run["run_id"])
            word = status["runtimeStatus"] if status else "Completed"
            if word != ("Completed" if run["outcome"] else "Running"):
                problems.append(f"The orchestration of {run['run_id']} is {word}; the history says {run['outcome']}.")
        return problems


def short(run_id: str) -> str:
    """The part of a run id that names resources."""
    name = parse_run_id(run_id)
    return name.short if name else run_id


def _kept(resource: str, failed: list[str]) -> bool:
    return "/snapshots/" in resource and any(name in resource for name in failed)


def _moved_by(run: dict[str, Any], move: Move) -> bool:
    """Whether the run's history has a step that may have made this move."""
    switches = ("enable_recovery", "disable_primary", "enable_primary", "disable_recovery")
    steps = [s for s in run["steps"] if s["name"] in switches]
    during = run["ended_at"] is None or move.at <= run["ended_at"] + SLACK
    return run["kind"] != "drill" and during and any(s["started_at"] <= move.at + SLACK for s in steps)
