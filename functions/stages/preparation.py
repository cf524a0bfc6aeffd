"""The recovery prepared while the outage is being confirmed: replica frozen, set taken, disks made.

A part of a failover. What may be undone begins with the first round of evidence that agrees; a machine is never created
before the decision, since a booted copy beside a living original does damage.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from durabletask import task

from functions.activities.run_record import Claim
from functions.stages import replica
from functions.stages.cleanup import clear_disks, delete_within_limit
from functions.stages.failover_state import FailoverState
from functions.stages.maintenance import maintenance_now
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import EndRun, NeedsOperator, named
from shared.models import ids
from shared.models.base import Strict
from shared.models.operations import PointInTime
from shared.models.plan import RecoveryPlan
from shared.models.runs import RunInput
from shared.models.steps import RunRef
from shared.models.verdict import Verdict
from shared.policy.outage import may_prepare

_CHILD = "prepare_recovery"


class PreparationOrder(Strict):
    """``freezing`` is when the replica's freezing began; ``data_until`` the moment its data reach at least."""

    run: RunRef
    plan: RecoveryPlan
    freezing: datetime
    data_until: datetime | None = None


class Prepared(Strict):
    """``point`` is the set to use, and ``disks_made`` whether every disk was made of it. Without a point ``refused`` is
    whether the freeze script could not even be started, and ``still_frozen`` whether the run must thaw it.
    """

    point: PointInTime | None = None
    disks_made: bool = False
    still_frozen: bool = False
    refused: bool = False


class Preparation:
    """At most one for each run. It is used only when every round since its freezing has agreed: the set then holds all
    that the primary had sent.
    """

    def __init__(self, work: RunContext, run: RunInput, state: FailoverState) -> None:
        self._work = work
        self._plan = run.plan
        self._state = state
        self._automatic = run.mode == "automatic" and run.trigger != "operator"
        self._data_until: datetime | None = None
        self._allowed = False
        self._child: task.Task[Any] | None = None
        self._began = run.requested_at
        self._stopped = False
        self._used = False
        self._refused = False
        self.disks_ready = False
        """Whether the disks of the point that ``take`` returned are made."""

    def allow(self, claim: Claim) -> None:
        """A run that will ask a person prepares nothing: it would save minutes of a wait for hours. Neither does a run
        that must stop the source's writes before its set is taken.
        """
        wanted = self._plan.recovery.prepare == "while_confirming"
        self._allowed = wanted and self._automatic and not claim.must_ask and not self._plan.fence
        self._data_until = claim.data_until

    def after_round(self, verdict: Verdict) -> Doing[None]:
        """Begins with the first round that agrees, and stops with the first one that does not."""
        agrees = may_prepare(verdict)
        if self._child is None:
            if not (self._allowed and agrees and verdict.decision == "keep_looking"):
                return
            if (yield from maintenance_now(self._work, self._plan, self._state, "preparing")) is None:
                self._begin()
            self._allowed = False
        elif not agrees or self._work.now - timedelta(seconds=verdict.agreed_for) > self._began:
            self._stop("the evidence")

    def take(self, looked_at: datetime) -> Doing[PointInTime | None]:
        """The prepared point, once the outage is confirmed; None where a fresh one must be taken, also when the newest
        look is not fresh any more: the primary may have lived since. Then no disk of the prepared one is left, since
        disks of another moment must not be used. Its set stays, as a point to fall back on.

        Raises ``NeedsOperator`` when a disk could not be deleted.
        """
        if self._child is None or self._used:
            return None
        if self._work.now - looked_at > self._plan.detection.max_check_age:
            self._stop("a gap in the evidence")
        if not self._stopped:
            self._work.ctx.send_event(self._instance, ids.EVENT_GO, data={})
        prepared = yield from self._prepared()
        if prepared.point is None and (left := (yield from clear_disks(self._work, self._plan))):
            raise NeedsOperator(
                f"Disks of an earlier recovery point could not be deleted: {', '.join(named(left))}. Delete them in "
                "the portal, then `retry`."
            )
        self._used = True
        self.disks_ready = prepared.disks_made
        self._refused = prepared.refused
        return prepared.point

    def busy_limit(self) -> timedelta | None:
        """How much longer a busy replication machine is waited for; None for the usual time. What the preparation has
        waited counts, once.
        """
        refused, self._refused = self._refused, False
        if not refused:
            return None
        return max(timedelta(0), replica.default_busy_limit(self._work) - (self._work.now - self._began))

    def stop(self, by: str, *, preempted: bool = False) -> Doing[None]:
        """Ends it, and gives it time to thaw the replica; housekeeping thaws one that could not be. ``preempted``:
        another failover has taken the plan.
        """
        if self._child is None or self._used:
            return
        self._stop(by, preempted)
        enough = self._work.ctx.create_timer(self._plan.recovery.expected.run_command * 4)
        while not (self._child.is_complete or enough.is_complete):
            yield task.when_any([self._child, enough])
        if self._child.is_complete and not self._result().still_frozen:
            self._state.freezing = None

    def undo_and_end(self, ending: EndRun) -> Doing[EndRun]:
        """The ending of a run that does not recover. What was prepared is being deleted; the plan is not kept locked
        until it is gone, since the next outage may begin now.
        """
        if self._child is None or ending.clean_up:
            return ending
        self._work.takes_aborts = False
        yield from self.stop("the decision")
        left = yield from delete_within_limit(self._work, self._plan)
        cleanup = f"Cleanup is incomplete: {', '.join(named(left))}." if left else "The preparations were undone."
        cleanup += " Replication may still be paused." if self._state.freezing else ""
        cleanup += " Housekeeping continues." if left or self._state.freezing else ""
        because = f"{ending.because} {cleanup}"
        return EndRun(ending.outcome, because, cooldown=ending.cooldown, well_at=ending.well_at, **ending.facts)

    @property
    def _instance(self) -> str:
        return ids.preparation_instance(self._work.run.run_id)

    def _begin(self) -> None:
        self._began = self._state.freezing = self._work.now
        self._state.sets = 1
        order = PreparationOrder(run=self._work.run, plan=self._plan, freezing=self._began, data_until=self._data_until)
        self._child = self._work.ctx.call_sub_orchestrator(
            _CHILD, input=order.model_dump(mode="json"), instance_id=self._instance
        )

    def _stop(self, by: str, preempted: bool = False) -> None:
        if not self._stopped:
            self._stopped = True
            self._work.ctx.send_event(self._instance, ids.EVENT_ABORT, data={"by": by, "preempted": preempted})

    def _prepared(self) -> Doing[Prepared]:
        """Its result. Its thaw is not awaited: the next freezing takes the place of this one."""
        assert self._child is not None
        over = self._work.event(ids.EVENT_PREPARATION_OVER)
        yield from self._work.first(self._child, over)
        return self._result() if self._child.is_complete and not self._stopped else Prepared()

    def _result(self) -> Prepared:
        assert self._child is not None
        if self._child.is_failed:
            return Prepared(still_frozen=True)
        return Prepared.model_validate(self._child.get_result())
