"""The sub-orchestrator that prepares a recovery while the outage is being confirmed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from durabletask import task

from functions.stages import replica
from functions.stages.disks import all_made, disk_orders
from functions.stages.preparation import PreparationOrder, Prepared
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import EndRun, NeedsOperator
from shared.models import ids
from shared.models.operations import PointInTime
from shared.models.runs import Outcome

bp = df.Blueprint()
_HEAD_START_OF_THE_NEXT_FREEZING = timedelta(seconds=10)
"""What a failover that takes the plan is given: once it has begun its own freezing there is nothing to thaw, and its
script need not wait for the one that thaws.
"""


@bp.orchestration_trigger(context_name="context")
def prepare_recovery(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Prepares what may be undone; it returns an outcome and never raises.

    1. Freeze the replica.
    2. Take one set of all its disks, unless the replica may not be copied or has not applied everything yet.
    3. Make every disk from it.
    4. Wait for the decision: on ``go`` the replica stays frozen, however long the rest takes. On an abort, after
       ``pause_limit`` and after any problem the replica is thawed, and the run is told that nothing more is made. The
       run deletes what was made.
    """
    order = PreparationOrder.model_validate(data)
    work = RunContext(ctx, order.run, order.plan.recovery)
    try:
        limit, part = order.plan.replication.pause_limit, _prepare(work, order)
        prepared = yield from work.within(limit, replica.FROZEN_TOO_LONG, part, lifted_by=ids.EVENT_GO)
    except replica.FreezeRefused:
        prepared = Prepared(refused=True)
    except (EndRun, NeedsOperator, task.TaskFailedError) as problem:
        prepared = yield from _undo(work, order, problem)
    yield from work.settle()
    return prepared.model_dump(mode="json")


def _undo(work: RunContext, order: PreparationOrder, problem: Exception) -> Doing[Prepared]:
    work.takes_aborts = False

    def over() -> None:
        work.ctx.send_event(order.run.run_id, ids.EVENT_PREPARATION_OVER, data={})

    if isinstance(problem, EndRun) and problem.outcome is Outcome.PREEMPTED:
        yield from work.sleep(_HEAD_START_OF_THE_NEXT_FREEZING)
    frozen = yield from replica.thaw_or_say(work, order.plan, order.freezing, begun=over)
    return Prepared(still_frozen=frozen is not None)


def _prepare(work: RunContext, order: PreparationOrder) -> Doing[Prepared]:
    point = yield from _take_set(work, order)
    recovery = order.plan.recovery
    orders = [
        disk
        for name, workload in recovery.workloads.items()
        for disk in disk_orders(
            *(work.run, recovery.terms, name, workload, point.of_workload(name), next(iter(workload.zones), None)),
            freezing=order.freezing,
        )
    ]
    made = yield from all_made(work, orders, "prepared/disks")
    yield from work.first(work.event(ids.EVENT_GO))
    return Prepared(point=point, disks_made=made, still_frozen=True)


def _take_set(work: RunContext, order: PreparationOrder) -> Doing[PointInTime]:
    plan, freezing, limit = order.plan, order.freezing, order.plan.replication.pause_limit
    not_after = freezing + limit if plan.replication.script_texts else None
    work.takes_aborts = False  # The script that thaws would only wait for this one to end.
    state = yield from replica.freeze(
        work, plan, freezing, not_after, busy_limit=min(limit / 2, replica.default_busy_limit(work))
    )
    work.takes_aborts = True
    work.raise_abort()
    if state and (state.not_copyable or state.queue_bytes):
        raise NeedsOperator("The replica is not ready to be copied yet.")
    return (
        yield from replica.fresh_point(
            work, plan, state, attempt=1, freezing=freezing, not_after=not_after, data_until=order.data_until
        )
    )
