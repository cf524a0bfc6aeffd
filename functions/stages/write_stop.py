"""Stopping the writes in Azure, proving that home holds all of them, and the undo. A part of the failback's
orchestrator.

From the stop until customers move the shop takes no orders: stop, copy and proof together have one limit, and at the
limit Azure takes writes again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from durabletask import task

from functions.activities.base import Activity
from functions.activities.home import HomeNoteOrder, final_sync, note_home, prove_home, stop_writes
from functions.activities.probes import ProbeOrder
from functions.activities.source import FenceOrder, fence_source
from functions.stages.acts import perform
from functions.stages.home_check import HomeCheck
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import NeedsOperator, reason
from shared.models.acts import ActReport, Called
from shared.models.home import HomeLook
from shared.models.hooks import Act
from shared.models.operations import Refused, Started
from shared.models.orders import ActOrder
from shared.models.runs import Phase, RunInput
from shared.policy.failback import (
    last_commits,
    missing_at_home,
    still_takes_writes,
    why_commits_unknown,
    why_not_movable,
)

_TRIES_TO_RESUME = 5


class WriteStop:
    """The time in which neither site takes writes."""

    def __init__(self, work: RunContext, run: RunInput, check: HomeCheck) -> None:
        self._work = work
        self._run = run
        self._plan = run.plan
        self._terms = run.plan.failback
        self._check = check
        self._attempt = 0
        self._last: dict[str, datetime | None] = {}
        self._opened = False
        self.stopped = False
        """Whether Azure's writes may be stopped by this run."""
        self.began = work.now
        """When they were stopped."""
        self.missing = ""
        """What home lacked at the newest look, in a sentence."""

    def stop(self) -> Doing[None]:
        """Stops Azure's writes, and reads back that SQL Server refuses them. Raises ``NeedsOperator``."""
        work, act = self._work, self._terms.stop_writes
        yield from work.record_now(phase=Phase.STOPPING_WRITES)
        report = ActReport()
        self.stopped = True
        yield from work.do(note_home, HomeNoteOrder(run=work.run, target="stopping", stopping=True))
        if act:
            self._attempt += 1
            report = yield from self._perform(stop_writes, "stop_writes", act, "stop")
        self.began = work.now
        seen = yield from self._look("stopped")
        if problem := still_takes_writes(seen):
            todo = "Fix stop_writes" if act else "The plan has no failback.stop_writes: stop the writes by hand"
            raise NeedsOperator(f"{problem} {todo}, then `retry`.")
        self._last = last_commits(seen, report.last_commits)
        if problem := why_commits_unknown(self._last):
            raise NeedsOperator(f"{problem} Then `retry`.")

    def sync(self) -> Doing[None]:
        """Waits until home holds Azure's last change in every database; the caller limits how long. Raises
        ``NeedsOperator``.
        """
        work, act = self._work, self._terms.final_sync
        yield from work.record_now(phase=Phase.FINAL_SYNC)
        if act:
            yield from self._perform(final_sync, "final_sync", act, "sync")
        while True:
            seen = yield from self._look("final sync")
            self.missing = missing_at_home(seen.home, self._last) or ""
            if not self.missing:
                break
            yield from work.sleep(work.recovery.poll_at_least)
        yield from self._open_home()

    def _open_home(self) -> Doing[None]:
        """Where a failover stopped home's writes by the plan's fence, they resume now. Raises ``NeedsOperator``."""
        answer = yield from self._fence_home("resume")
        if answer and not answer.done:
            raise NeedsOperator(f"Home's writes, which a failover had stopped, could not be resumed: {answer.detail}.")

    def _close_home(self) -> Doing[str | None]:
        """The undo of that, before Azure takes writes again; returns why home may still take them."""
        answer = (yield from self._fence_home("stop")) if self._opened else None
        return f"Home may still take writes ({answer.detail}): stop them there" if answer and not answer.done else None

    def _fence_home(self, action: Literal["stop", "resume"]) -> Doing[Called | None]:
        fence = self._plan.fence
        if fence is None:
            return None
        self._attempt += 1
        order = FenceOrder(
            run=self._work.run,
            target=f"home/{action}",
            attempt=self._attempt,
            fence=fence,
            action=action,
            of_any_run=True,
        )
        self._opened = True
        answer: Called = yield from self._work.do(fence_source, order)
        self._opened = action == "resume" or not answer.done
        return answer

    def prove(self) -> Doing[None]:
        """Home answers for ``prove_for`` without a failure, at its pages and its databases. Raises
        ``NeedsOperator``.
        """
        yield from self._work.record_now(phase=Phase.PROVING_HOME)
        yield from self.verify()

    def verify(self, before: str = "", *, moved: bool = False) -> Doing[None]:
        """The same; ``before`` is put in front of the reason where home does not serve. ``moved``: customers may be at
        home already, so that its newest change may differ.
        """
        work, began, looks = self._work, self._work.now, 0
        good_since: datetime | None = None
        limit = self._terms.prove_for * 4 + self._plan.detection.slowest_answer * 2
        while True:
            looks += 1
            order = ProbeOrder(
                run=work.run, target="home", attempt=looks, began_at=began, probes=self._plan.home_probes
            )
            looked_at = work.now
            seen = yield from work.do(prove_home, order)
            good_since = (good_since or looked_at) if seen.healthy else None
            if good_since and looked_at - good_since >= self._terms.prove_for:
                both = yield from self._look("proven")
                if not moved and (problem := why_not_movable(both, self._last)):
                    raise NeedsOperator(f"{before}{problem} Then `retry`.")
                self._check.looked_at = looked_at
                return
            if work.now - began > limit:
                raise NeedsOperator(
                    f"{before}Home does not serve: {seen.detail}. Allow customer traffic to the primary site and start "
                    "the application there, then `retry`."
                )
            yield from work.sleep(max(work.recovery.poll_at_least, self._terms.prove_for / 5))

    def undo(self) -> Doing[str | None]:
        """Lets Azure take writes again, and reads that back. Returns why that could not be seen; None when it was."""
        if not self.stopped:
            return None
        work, act = self._work, self._terms.stop_writes
        yield from work.settle()
        yield from work.record_now(phase=Phase.READY)  # A stop that is still on its way must not take effect any more.
        closed = yield from self._close_home()
        problem = "Azure's databases could not be read"
        for attempt in range(1, _TRIES_TO_RESUME + 1):
            self._attempt += 1
            try:
                if act:
                    yield from self._perform(stop_writes, "stop_writes", act, "resume")
                seen = yield from self._look("resumed")
            except (NeedsOperator, task.TaskFailedError) as error:
                problem = reason(error)
            else:
                if not (shut := seen.closed_in_azure):
                    yield from work.do(note_home, HomeNoteOrder(run=work.run, target="azure", resumed=True))
                    self.stopped = False
                    return closed
                problem = "; ".join(shut)
            if attempt < _TRIES_TO_RESUME:
                yield from work.sleep(work.recovery.retry_after * 5)
        todo = "Coldsite keeps trying to resume them" if act else "resume them by hand"
        return f"Azure's writes may still be stopped ({problem.rstrip('.')}); {todo}"

    def _look(self, moment: str) -> Doing[HomeLook]:
        seen = yield from self._check.look(moment)
        yield from self._work.record(home=seen.facts)
        return seen

    def _perform(
        self, activity: Activity[ActOrder, Called | Started | Refused], name: str, act: Act, action: str
    ) -> Doing[ActReport]:
        """Carries out one act and returns what it reports. Raises ``NeedsOperator`` when it was not done."""
        work, serving = self._work, self._run.serving
        order = ActOrder.model_validate(
            {
                "run": work.run,
                "target": "azure" if action == "stop" else action,
                "attempt": self._attempt,
                "act": act,
                "action": action,
                "text": self._terms.script_texts.get(name, ""),
                "machine": (serving.machines.get(act.on or "", "") if serving else "") if act.script else "",
            }
        )
        if act.script and not order.machine:
            raise NeedsOperator(
                f"failback.{name}: the machine of {act.on} is not known, since no failover of Coldsite built it. Use a "
                "hook in the plan, or `abort`."
            )
        return (yield from perform(work, activity, f"failback.{name}", order))
