"""The drill orchestrator: a failover into an isolated network that leaves nothing behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from durabletask import task

from functions import replica
from functions.bookkeeping import Claim
from functions.conduct import Ended, conduct, seconds_between, told, until_done
from functions.recovery import Recovery, clear_away
from functions.work import Doing, HopelessError, ProblemError, Work
from shared.cloud.compute import PointInTime
from shared.plan import RecoveryPlan
from shared.runs import Outcome, Phase, RunInput

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def drill(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Proves that the plan works, without touching customers, Traffic Manager or the primary.

    1. Claim the plan's lock.
    2. Freeze the replica, take one set of all its disks, and thaw it at once, whatever happens.
    3. Recover the workloads into the drill network and verify them there. What goes wrong is kept and a person told;
       a drill that nobody looks at is cleared away, and a failover takes its place at any time.
    4. Keep them for ``keep_for``, so that a person can look.
    5. Remove everything, and show that nothing is left.
    6. Measure, seal, tell, give the plan back.
    """
    run = RunInput.model_validate(data)
    work = Work(ctx, run.run, run.plan.recovery)
    story = _Drill(work, run)
    return (yield from conduct(work, run, story.body, story.clear))


class _Drill:
    def __init__(self, work: Work, run: RunInput) -> None:
        self._work = work
        self._run = run
        self._plan: RecoveryPlan = run.plan
        self._recovery = Recovery(work, run.plan, "drill")
        self._point: PointInTime | None = None
        self._frozen = False
        self._sets = 0
        work.after_hold = "abort"

    def body(self, claim: Claim) -> Doing[Ended]:
        work, plan = self._work, self._plan
        point = yield from until_done(work, plan, Phase.RECOVERING, self._build)
        healthy_at = work.now
        yield from work.record_now(phase=Phase.VERIFYING)
        yield from work.sleep(plan.drill.keep_for)
        work.abortable = False
        yield from work.record_now(phase=Phase.CLEANING_UP)
        left = yield from clear_away(work, plan, keep_snapshots=False)
        if left:
            raise Ended(
                Outcome.FAILED,
                f"The drill worked, but this is left over: {', '.join(told(left))}. Housekeeping goes on clearing it "
                "away.",
            )
        return Ended(
            Outcome.SUCCEEDED,
            "The drill worked and left nothing behind.",
            recovery_time_actual=seconds_between(self._run.requested_at, healthy_at),
            recovery_point_actual=seconds_between(max(self._recovery.commits.values(), default=None), point.taken_at),
        )

    def clear(self, by: str, keep_point: bool) -> Doing[list[str]]:
        """The replica first: it may stand in a failover's way. Then everything, the recovery point too."""
        problem = (yield from replica.thaw_or_say(self._work, self._plan)) if self._frozen else None
        yield from self._recovery.stop(by)
        left = yield from clear_away(self._work, self._plan, keep_snapshots=False)
        return [*left, problem] if problem else left

    def _build(self) -> Doing[PointInTime]:
        if self._point is None:
            self._point = yield from self._take_point()
        yield from self._recovery.recover(self._point)
        return self._point

    def _take_point(self) -> Doing[PointInTime]:
        """Nobody is asked anything while the replica is frozen: it is thawed first, whatever went wrong."""
        work, plan = self._work, self._plan
        self._sets += 1
        self._frozen = bool(plan.replication.script_texts)
        limit = plan.replication.pause_limit if self._frozen else None
        try:
            point = yield from work.within(limit, replica.FROZEN_TOO_LONG, self._take_set(limit))
        except (ProblemError, task.TaskFailedError):
            yield from self._thaw()
            raise
        yield from self._thaw()
        return point

    def _take_set(self, limit: timedelta | None) -> Doing[PointInTime]:
        work, plan = self._work, self._plan
        not_after = work.now + limit if limit else None
        state = yield from replica.freeze(work, plan, not_after)
        return (yield from replica.recovery_point(work, plan, self._run.recovery_point, state, self._sets, not_after))

    def _thaw(self) -> Doing[None]:
        """A drill whose replica cannot be thawed ends at once: housekeeping thaws only when no run is at work."""
        problem = yield from replica.thaw_or_say(self._work, self._plan)
        if problem:
            raise HopelessError(problem)
        self._frozen = False
