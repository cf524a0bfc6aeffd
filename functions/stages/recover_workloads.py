"""Recovering every workload of a plan from one recovery point; shared by failover and drill."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from durabletask import task

from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import FIND_THE_CAUSE, NeedsOperator
from shared.models import ids
from shared.models.base import Strict
from shared.models.operations import PointInTime
from shared.models.plan import Gate, Purpose, RecoveryPlan, RecoveryTerms, Workload
from shared.models.steps import RunRef

_CHILD = "recover_workload"


class WorkloadsRecovery:
    """The workloads of one run. Healthy ones are kept through every retry; children have fresh ids each time."""

    def __init__(
        self,
        work: RunContext,
        plan: RecoveryPlan,
        role: Purpose,
        *,
        may_get_room: bool = False,
        only: list[str] | None = None,
    ) -> None:
        """``only`` these workloads are recovered; the others run already."""
        self._work = work
        self._plan = plan
        self._role = role
        self._may_get_room = may_get_room
        self._attempt = 0
        self._running: dict[str, task.Task[Any]] = {}
        self._blamed: dict[str, str] = {}
        others = [] if only is None else [name for name in plan.recovery.workloads if name not in only]
        self.healthy = {name: WorkloadOutcome(name=name, healthy=True) for name in others}

    def recover(self, point: PointInTime, *, disks_ready: bool = False) -> Doing[None]:
        """Recovers what is not yet healthy. Raises ``NeedsOperator`` naming every workload that failed.
        ``disks_ready``: the disks for the first attempt were made before.

        All disks are made at once, and every machine starts as soon as its dependencies allow. A workload that needs
        another one healthy boots beside it and is judged after it.
        """
        self._attempt += 1
        yield from self._work.record(builds=self._attempt)
        self._blamed.clear()
        created, waiting = set(self.healthy), dict[str, Gate]()
        failed: dict[str, str] = {}
        unhealthy = [name for name in self._plan.recovery.workloads if name not in self.healthy]
        self._running = {name: self._start(name, point, disks_ready and self._attempt == 1) for name in unhealthy}
        while self._running:
            progress = self._work.event(ids.EVENT_PROGRESS)
            winner = yield from self._work.first(progress, *self._running.values())
            if winner is progress:
                report = self._work.take(ids.EVENT_PROGRESS)
                if report["attempt"] != self._attempt:
                    continue
                if report["at"] == "created":
                    created.add(report["workload"])
                else:
                    waiting[report["workload"]] = report["at"]
            else:
                name = next(n for n, child in self._running.items() if child is winner)
                outcome = self._outcome(name, self._running.pop(name))
                if outcome.healthy:
                    created.add(name)
                    self.healthy[name] = outcome
                else:
                    failed[name] = self._blamed.get(name) or outcome.problem or "Failed; no error was reported."
            self._release(waiting, created, failed)
        if failed:
            causes_first = sorted(failed.items(), key=lambda failure: (failure[0] in self._blamed, failure[0]))
            raise NeedsOperator(" ".join(problem for _, problem in causes_first))

    def forget(self) -> None:
        """Nothing of what was built counts any more: it is being deleted."""
        self.healthy.clear()

    @property
    def commits(self) -> dict[str, datetime]:
        """The newest commit of each recovered database that was measured."""
        return {name: at for outcome in self.healthy.values() for name, at in outcome.commits.items()}

    def _start(self, name: str, point: PointInTime, disks_ready: bool) -> task.Task[Any]:
        run_id = self._work.run.run_id
        order = WorkloadOrder(
            run=self._work.run,
            parent=run_id,
            attempt=self._attempt,
            name=name,
            role=self._role,
            workload=self._plan.recovery.workloads[name],
            disks=[label for label, _ in self._plan.workload_disks(name)],
            snapshots=point.of_workload(name),
            disks_ready=disks_ready,
            recovery=self._plan.recovery.terms,
            may_get_room=self._may_get_room,
        )
        return self._work.ctx.call_sub_orchestrator(
            _CHILD,
            input=order.model_dump(mode="json"),
            instance_id=ids.child_instance(run_id, name, self._attempt),
        )

    def _outcome(self, name: str, child: task.Task[Any]) -> WorkloadOutcome:
        if child.is_failed:
            message = f"The recovery of {name} stopped unexpectedly: {child.get_exception()} {FIND_THE_CAUSE}"
            return WorkloadOutcome(name=name, healthy=False, problem=message)
        return WorkloadOutcome.model_validate(child.get_result())

    def _release(self, waiting: dict[str, Gate], created: set[str], failed: dict[str, str]) -> None:
        """Releases workloads whose dependencies are met, and ends those whose dependencies failed."""
        for name in sorted(waiting):
            needs = self._plan.recovery.workloads[name].waits_for(waiting[name])
            if any(needed in failed for needed in needs):
                del waiting[name]
                self._blamed[name] = f"{name} waits for {', '.join(n for n in needs if n in failed)}."
                self._send(name, ids.EVENT_ABORT, {"by": "a failed dependency"})
            elif all(needed in (self.healthy if how == "healthy" else created) for needed, how in needs.items()):
                del waiting[name]
                self._send(name, ids.EVENT_GO, {})

    def _send(self, name: str, event: str, data: dict[str, Any]) -> None:
        self._work.ctx.send_event(ids.child_instance(self._work.run.run_id, name, self._attempt), event, data=data)

    def stop(self, by: str) -> Doing[None]:
        """Ends the children that still run, and waits for them: building must stop before the cleanup."""
        for name in self._running:
            self._send(name, ids.EVENT_ABORT, {"by": by})
        for child in self._running.values():
            while not child.is_complete:
                yield task.when_any([child])
        self._running = {}


class WorkloadOrder(Strict):
    """One workload to recover. ``snapshots`` are by disk label; ``parent`` hears when others may depend on it."""

    run: RunRef
    parent: str
    attempt: int
    name: str
    role: Purpose
    workload: Workload
    disks: list[str]
    snapshots: dict[str, str]
    disks_ready: bool = False
    """Whether the disks for the first zone are made already."""
    recovery: RecoveryTerms
    may_get_room: bool = False
    """Whether a drill is cleaning up, so that capacity in use now may be free in a moment."""


class WorkloadOutcome(Strict):
    """``problem`` is a sentence when it is not healthy; ``size`` and ``zone`` are what Azure allocated."""

    name: str
    healthy: bool
    problem: str | None = None
    size: str | None = None
    zone: str | None = None
    commits: dict[str, datetime] = {}
