"""Recovering every workload, and clearing away again: what a failover and a drill have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from durabletask import task

from functions import activities, bookkeeping
from functions.conduct import FIND_THE_CAUSE
from functions.recover_workload import WorkloadOrder, WorkloadOutcome
from functions.work import Doing, ProblemError, Work
from shared import names
from shared.cloud.cleanup import CleanUpOrder
from shared.cloud.compute import PointInTime
from shared.plan import RecoveryPlan, Role

_CHILD = "recover_workload"


class Recovery:
    """The workloads of one run. What is healthy stays so through every retry; children have fresh ids each time."""

    def __init__(self, work: Work, plan: RecoveryPlan, role: Role, *, may_get_room: bool = False) -> None:
        self._work = work
        self._plan = plan
        self._role = role
        self._may_get_room = may_get_room
        self._attempt = 0
        self._running: dict[str, task.Task[Any]] = {}
        self._blamed: dict[str, str] = {}
        self.healthy: dict[str, WorkloadOutcome] = {}

    def recover(self, point: PointInTime) -> Doing[None]:
        """Recovers what is not yet healthy. Raises ``ProblemError`` naming every workload that could not be.

        Everything that does not depend on another starts at once; ``depends_on`` holds back only the machine of the
        workload that names it, while its disks are made meanwhile.
        """
        self._attempt += 1
        yield from self._work.record(builds=self._attempt)
        self._blamed.clear()
        created, waiting = set(self.healthy), set[str]()
        failed: dict[str, str] = {}
        self._running = {n: self._start(n, point) for n in self._plan.recovery.workloads if n not in self.healthy}
        while self._running:
            progress = self._work.event(names.EVENT_PROGRESS)
            winner = yield from self._work.first(progress, *self._running.values())
            if winner is progress:
                told = self._work.take(names.EVENT_PROGRESS)
                if told["attempt"] != self._attempt:
                    continue
                (waiting if told["at"] == "waiting" else created).add(told["workload"])
            else:
                name = next(n for n, child in self._running.items() if child is winner)
                outcome = self._outcome(name, self._running.pop(name))
                if outcome.healthy:
                    created.add(name)
                    self.healthy[name] = outcome
                else:
                    failed[name] = self._blamed.get(name) or outcome.problem or "It failed without saying why."
            self._release(waiting, created, failed)
        if failed:
            causes_first = sorted(failed.items(), key=lambda one: (one[0] in self._blamed, one[0]))
            raise ProblemError(" ".join(problem for _, problem in causes_first))

    @property
    def commits(self) -> dict[str, datetime]:
        """The newest commit of each recovered database that was measured."""
        return {name: at for outcome in self.healthy.values() for name, at in outcome.commits.items()}

    def _start(self, name: str, point: PointInTime) -> task.Task[Any]:
        run_id = self._work.run.run_id
        disks = [label for label, _ in self._plan.workload_disks(name)]
        order = WorkloadOrder(
            run=self._work.run,
            parent=run_id,
            attempt=self._attempt,
            name=name,
            role=self._role,
            workload=self._plan.recovery.workloads[name],
            disks=disks,
            snapshots={label: point.snapshots[f"{name}/{label}"] for label in disks},
            recovery=self._plan.recovery.terms,
            may_get_room=self._may_get_room,
        )
        return self._work.ctx.call_sub_orchestrator(
            _CHILD,
            input=order.model_dump(mode="json"),
            instance_id=names.child_instance(run_id, name, self._attempt),
        )

    def _outcome(self, name: str, child: task.Task[Any]) -> WorkloadOutcome:
        if child.is_failed:
            said = f"The recovery of {name} broke off: {child.get_exception()} {FIND_THE_CAUSE}"
            return WorkloadOutcome(name=name, healthy=False, problem=said)
        return WorkloadOutcome.model_validate(child.get_result())

    def _release(self, waiting: set[str], created: set[str], failed: dict[str, str]) -> None:
        """Lets those go on whose dependencies are met, and ends those whose dependencies failed."""
        for name in sorted(waiting):
            needs = self._plan.recovery.workloads[name].depends_on
            if any(needed in failed for needed in needs):
                waiting.discard(name)
                self._blamed[name] = f"{name} waits for {', '.join(n for n in needs if n in failed)}."
                self._send(name, names.EVENT_ABORT, {"by": "what it depends on"})
            elif all(needed in (self.healthy if how == "healthy" else created) for needed, how in needs.items()):
                waiting.discard(name)
                self._send(name, names.EVENT_GO, {})

    def _send(self, name: str, event: str, data: dict[str, Any]) -> None:
        self._work.ctx.send_event(names.child_instance(self._work.run.run_id, name, self._attempt), event, data=data)

    def stop(self, by: str) -> Doing[None]:
        """Ends the children that still run, and waits for them: nothing may be built while it is cleared away."""
        for name in self._running:
            self._send(name, names.EVENT_ABORT, {"by": by})
        for child in self._running.values():
            while not child.is_complete:
                yield task.when_any([child])
        self._running = {}


def clear_away(work: Work, plan: RecoveryPlan, keep_snapshots: bool, of_run: str = "") -> Doing[list[str]]:
    """Removes what the run (or ``of_run``, which has ended) built until nothing is left, and returns what could not be
    removed in time: with Azure's reason where it gave one, else the resource's id.
    """
    attempt, began = 1, work.now
    while True:
        order = CleanUpOrder(
            run=work.run,
            target="run",
            attempt=attempt,
            group=plan.recovery.resource_group,
            keep_snapshots=keep_snapshots,
            of_run=of_run,
        )
        result = yield from work.do(activities.clean_up, order)
        if not result.left or work.now - began > plan.recovery.operation_timeout:
            left = result.still_there
            if left or of_run:
                whose = of_run or work.run.run_id
                note = bookkeeping.RecordOrder(run=work.run, of_run=whose, not_cleared=left)
                yield from work.do(bookkeeping.record_step, note)
            return left
        yield from work.sleep(plan.recovery.expected.delete if attempt == 1 else plan.recovery.poll_at_least * 2)
        attempt += 1
