"""Small orchestrators between runs: take a recovery point, thaw a replica that was left frozen, clear leftovers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import azure.durable_functions as df
from durabletask import task

from functions import activities, replica
from functions.recovery import clear_away
from functions.work import Doing, ProblemError, Work
from shared.cloud.cleanup import POINT
from shared.plan import RecoveryPlan, Strict
from shared.runs import RunRef

bp = df.Blueprint()
_TAKEN = "taken"


class KeepingOrder(Strict):
    """``of_run`` is the ended run whose traces are removed; ``keep_point`` spares its recovery point."""

    instance: str
    plan: RecoveryPlan
    of_run: str = ""
    keep_point: bool = False


@bp.orchestration_trigger(context_name="context")
def take_set(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Takes one frozen set and forgets the oldest beyond ``keep``; the only source of points from before an attack.

    1. Freeze; a replica that is not good is left alone.
    2. Snapshot every disk as one set.
    3. Thaw, whatever happened.
    4. After a success, remove sets beyond the number to keep.
    """
    order = KeepingOrder.model_validate(data)
    plan = order.plan
    work = Work(ctx, RunRef(run_id=order.instance, plan=plan.name, epoch=0), plan.recovery)
    limit = plan.replication.pause_limit
    try:
        said = yield from work.within(limit, replica.FROZEN_TOO_LONG, _take(work, order, limit))
    except (ProblemError, task.TaskFailedError) as error:
        said = f"not taken: {error}"
    yield from replica.thaw(work, plan)
    if said != _TAKEN:
        return {"recovery_point": said}
    keep = plan.replication.recovery_points.keep if plan.replication.recovery_points else 1
    forget = activities.ForgetOrder(run=work.run, group=plan.recovery.resource_group, keep=keep)
    yield from work.do(activities.forget_recovery_points, forget)
    return {"recovery_point": said}


def _take(work: Work, order: KeepingOrder, limit: timedelta) -> Doing[str]:
    plan, not_after = order.plan, work.now + limit
    state = yield from replica.freeze(work, plan, not_after)
    if state is not None and not state.usable:
        return f"not taken: the replica is {state.state}"
    set_id = POINT + order.instance.rsplit("-", 1)[1]
    consistency: Literal["application", "crash"] = "application" if state and state.frozen else "crash"
    yield from replica.take_set(work, plan, set_id, consistency, tag_run=False, not_after=not_after)
    return _TAKEN


@bp.orchestration_trigger(context_name="context")
def thaw_replica(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Lets the replication target go on, in the name of the run that froze it and did not."""
    order = KeepingOrder.model_validate(data)
    work = Work(ctx, RunRef(run_id=order.instance, plan=order.plan.name, epoch=0), order.plan.recovery)
    yield from replica.thaw(work, order.plan, in_name_of=order.of_run)
    return {"thawed": order.of_run}


@bp.orchestration_trigger(context_name="context")
def clear_leftovers(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Removes what a run that ended without serving left behind; what does not go now goes the next time."""
    order = KeepingOrder.model_validate(data)
    work = Work(ctx, RunRef(run_id=order.instance, plan=order.plan.name, epoch=0), order.plan.recovery)
    left = yield from clear_away(work, order.plan, keep_snapshots=order.keep_point, of_run=order.of_run)
    return {"left": left}
