"""The drill orchestrator: a failover into an isolated network that leaves nothing behind."""

from __future__ import annotations

from typing import Any

import azure.durable_functions as df
from durabletask import task

from functions import replica
from functions.bookkeeping import Claim
from functions.conduct import Ended, conduct, seconds_between
from functions.recovery import Recovery, clear_away
from functions.work import Doing, Work
from shared.cloud.compute import PointInTime
from shared.plan import RecoveryPlan
from shared.runs import Outcome, Phase, RunInput

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def drill(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Proves that the plan works, without touching customers, Traffic Manager or the primary.

    1. Claim the plan's lock.
    2. Freeze the replica, take one set of all its disks, and thaw it at once, whatever happens.
    3. Recover the workloads into the drill network and verify them there.
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
        self._frozen = False

    def body(self, claim: Claim) -> Doing[Ended]:
        work, plan = self._work, self._plan
        point = yield from self._take_point()
        yield from self._recovery.recover(point)
        healthy_at = work.now
        yield from work.record(phase=Phase.VERIFYING)
        yield from work.sleep(plan.drill.keep_for)
        work.abortable = False
        yield from work.record(phase=Phase.CLEANING_UP)
        left = yield from clear_away(work, plan, keep_snapshots=False)
        if left:
            raise Ended(
                Outcome.FAILED, f"The drill worked, but this is left over: {', '.join(left)}. Remove it by hand."
            )
        commits = [o.newest_commit for o in self._recovery.healthy.values() if o.newest_commit]
        return Ended(
            Outcome.SUCCEEDED,
            "The drill worked and left nothing behind.",
            recovery_time_actual=seconds_between(self._run.requested_at, healthy_at),
            recovery_point_actual=seconds_between(max(commits, default=None), point.taken_at),
        )

    def clear(self, by: str, keep_point: bool) -> Doing[list[str]]:
        """The replica first: it may stand in a failover's way. Then everything, the recovery point too."""
        problem = (yield from replica.thaw_or_say(self._work, self._plan)) if self._frozen else None
        yield from self._recovery.stop(by)
        left = yield from clear_away(self._work, self._plan, keep_snapshots=False)
        return [*left, problem] if problem else left

    def _take_point(self) -> Doing[PointInTime]:
        """Whatever goes wrong in between, ``clear`` thaws the replica."""
        work, plan = self._work, self._plan
        self._frozen = bool(plan.replication.script_texts)
        limit = plan.replication.pause_limit if self._frozen else None
        state = yield from replica.freeze(work, plan, limit)
        point = yield from replica.recovery_point(work, plan, self._run.recovery_point, state, 1, limit)
        yield from replica.thaw(work, plan)
        self._frozen = False
        return point
