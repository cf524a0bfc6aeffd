"""The drill orchestrator: a failover into an isolated network that leaves nothing behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import azure.durable_functions as df
from durabletask import task

from functions.activities.run_record import Claim
from functions.stages import replica
from functions.stages.cleanup import delete_built
from functions.stages.hooks import PlanHooks
from functions.stages.recover_workloads import WorkloadsRecovery
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import EndRun, NeedsOperator, named
from functions.workflow.lifecycle import run_lifecycle, seconds_between
from functions.workflow.questions import until_done
from shared.models.operations import PointInTime
from shared.models.plan import RecoveryPlan
from shared.models.runs import Outcome, Phase, RunInput

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def drill(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Proves the plan without touching customers, Traffic Manager or the primary.

    1. Claim the plan's lock.
    2. Freeze the replica, take one set of all its disks, and thaw it at once, whatever happens.
    3. Recover the workloads into the drill network and verify them there. On a problem everything is kept and a
       notification is sent; an unanswered drill is cleaned up, and a failover takes its place at any time.
    4. Keep them for ``keep_for``, for inspection.
    5. Delete everything, and verify that nothing is left.
    6. Measure, write the document, notify, release the plan.
    """
    run = RunInput.model_validate(data)
    work = RunContext(ctx, run.run, run.plan.recovery)
    story = _Drill(work, run)
    return (yield from run_lifecycle(work, run, story.body, story.clear))


@dataclass
class DrillState:
    """The state of a drill while it runs: one object that can be printed. ``freezing`` is when the replica's freezing
    began, None while it is thawed; ``sets`` is how many recovery points were begun.
    """

    point: PointInTime | None = None
    freezing: datetime | None = None
    sets: int = 0


class _Drill:
    def __init__(self, work: RunContext, run: RunInput) -> None:
        self._work = work
        self._run = run
        self._plan: RecoveryPlan = run.plan
        self._recovery = WorkloadsRecovery(work, run.plan, "drill")
        self._state = DrillState()
        work.after_hold = "abort"

    def body(self, claim: Claim) -> Doing[EndRun]:
        work, plan = self._work, self._plan
        point = yield from until_done(work, plan, Phase.RECOVERING, self._build)
        healthy_at = work.now
        yield from work.record_now(phase=Phase.VERIFYING)
        hooks = PlanHooks(work, plan)
        yield from until_done(work, plan, Phase.VERIFYING, lambda: hooks.require("after_drill"))
        yield from work.sleep(plan.drill.keep_for)
        work.takes_aborts = False
        yield from work.record_now(phase=Phase.CLEANING_UP)
        left = yield from delete_built(work, plan, keep_snapshots=False)
        if left:
            raise EndRun(
                Outcome.FAILED,
                f"The drill succeeded, but cleanup is incomplete: {', '.join(named(left))}. Housekeeping will retry.",
            )
        return EndRun(
            Outcome.SUCCEEDED,
            "The drill succeeded and left nothing behind.",
            recovery_time_actual=seconds_between(self._run.requested_at, healthy_at),
            recovery_point_actual=seconds_between(max(self._recovery.commits.values(), default=None), point.taken_at),
        )

    def clear(self, ending: EndRun) -> Doing[list[str]]:
        """The replica first: a frozen one may block a failover. Then everything, the recovery point included."""
        problem: str | None = None
        if self._state.freezing:
            problem = yield from replica.thaw_or_say(self._work, self._plan, self._state.freezing)
        yield from self._recovery.stop(ending.by)
        left = yield from delete_built(self._work, self._plan, keep_snapshots=False)
        return [*left, problem] if problem else left

    def _build(self) -> Doing[PointInTime]:
        if self._state.point is None:
            self._state.point = yield from self._take_point()
        yield from self._recovery.recover(self._state.point)
        return self._state.point

    def _take_point(self) -> Doing[PointInTime]:
        """No question is asked while the replica is frozen: it is thawed first, whatever went wrong."""
        work, plan = self._work, self._plan
        self._state.sets += 1
        self._state.freezing = freezing = work.now
        limit = plan.replication.pause_limit if plan.replication.script_texts else None
        try:
            point = yield from work.within(limit, replica.FROZEN_TOO_LONG, self._take_set(freezing, limit))
        except (NeedsOperator, task.TaskFailedError):
            yield from self._thaw(freezing)
            raise
        yield from self._thaw(freezing)
        return point

    def _take_set(self, freezing: datetime, limit: timedelta | None) -> Doing[PointInTime]:
        work, plan, wanted = self._work, self._plan, self._run.recovery_point
        not_after = freezing + limit if limit else None
        state = yield from replica.freeze(work, plan, freezing, not_after)
        return (yield from replica.recovery_point(work, plan, wanted, state, self._state.sets, freezing, not_after))

    def _thaw(self, freezing: datetime) -> Doing[None]:
        """A drill whose replica cannot be thawed ends at once: housekeeping thaws only while no run is active."""
        problem = yield from replica.thaw_or_say(self._work, self._plan, freezing)
        if problem:
            raise EndRun(Outcome.FAILED, problem, by="its own failure", clean_up=True)
        self._state.freezing = None
