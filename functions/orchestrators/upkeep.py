"""Small orchestrators between runs: take a recovery point, thaw a replica that was left frozen, delete leftovers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import azure.durable_functions as df
from durabletask import task

from functions.activities.probes import ProbeOrder, probe_workload
from functions.activities.recovery_points import ForgetOrder, PointNoteOrder, forget_recovery_points, note_point
from functions.activities.replica import ReplicaOrder, note_replica
from functions.stages import replica
from functions.stages.cleanup import delete_built
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import NeedsOperator, reason, without_retry
from shared.models import ids
from shared.models.base import Strict
from shared.models.orders import POINT
from shared.models.plan import RecoveryPlan
from shared.models.steps import RunRef

bp = df.Blueprint()
type _Taken = tuple[str | None, datetime | None]
"""Why no set was taken, None on success; and the moment that its data reach, None where unknown."""


class KeepingOrder(Strict):
    """``of_run`` is the ended run to clean up; ``freezing`` is when it froze the replica, ``keep_point``
    spares its recovery point. ``serving`` names, by workload, the failover whose machine serves customers.
    """

    instance: str
    plan: RecoveryPlan
    of_run: str = ""
    freezing: datetime | None = None
    keep_point: bool = False
    serving: dict[str, str] = {}


@bp.orchestration_trigger(context_name="context")
def take_set(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Takes one frozen set and deletes the oldest beyond ``keep``; the only source of points from before an attack.

    1. Freeze; an unhealthy replica is left alone.
    2. Snapshot every disk as one set.
    3. Thaw, whatever happened, and store the result: housekeeping warns of missing points.
    4. After a success, delete sets beyond the number to keep.

    While customers are served from Azure the set is of the machines there. They keep running, so it is only
    crash-consistent, each disk by itself.
    """
    order = KeepingOrder.model_validate(data)
    plan = order.plan
    work = RunContext(ctx, RunRef(run_id=order.instance, plan=plan.name, epoch=0), plan.recovery)
    trouble, holds = yield from (_of_azure(work, order) if order.serving else _of_replica(work, order))
    yield from work.do(
        note_point, PointNoteOrder(run=work.run, trouble=trouble and without_retry(trouble), holds=holds)
    )
    if trouble:
        return {"recovery_point": f"not taken: {trouble}"}
    keep = plan.replication.recovery_points.keep if plan.replication.recovery_points else 1
    forget = ForgetOrder(run=work.run, group=plan.recovery.resource_group, keep=keep)
    yield from work.do(forget_recovery_points, forget)
    return {"recovery_point": "taken"}


def _of_replica(work: RunContext, order: KeepingOrder) -> Doing[_Taken]:
    limit, freezing = order.plan.replication.pause_limit, work.now
    holds: datetime | None = None
    try:
        trouble, holds = yield from work.within(
            limit, replica.FROZEN_TOO_LONG, _take(work, order, freezing, freezing + limit)
        )
    except (NeedsOperator, task.TaskFailedError) as error:
        trouble = reason(error)
    trouble = (yield from replica.thaw_or_say(work, order.plan, freezing)) or trouble
    return trouble, holds


def _of_azure(work: RunContext, order: KeepingOrder) -> Doing[_Taken]:
    """The same, of the machines that serve customers."""
    set_id, group = POINT + order.instance.rsplit("-", 1)[1], order.plan.recovery.resource_group
    disks = {
        f"{name}/{label}": f"{group}/providers/Microsoft.Compute/disks/{ids.disk_name(run_id, name, label)}"
        for name, run_id in order.serving.items()
        for label, _ in order.plan.workload_disks(name)
    }
    holds = work.now
    unwell = yield from _unwell(work, order.plan)
    if unwell:
        return f"Unhealthy machines were skipped to keep the last good recovery point: {unwell}.", None
    try:
        yield from replica.take_set(work, order.plan, set_id, "crash", tag_run=False, data_until=holds, disks=disks)
    except (NeedsOperator, task.TaskFailedError) as error:
        return reason(error), None
    return None, holds


def _unwell(work: RunContext, plan: RecoveryPlan) -> Doing[str]:
    """Which machines in Azure fail their probes, with what was seen; empty where none does."""
    workloads = plan.recovery.workloads
    looks = yield from work.do_all(
        probe_workload,
        [
            ProbeOrder(run=work.run, target=name, probes=workload.probes, address=workload.address.failover)
            for name, workload in workloads.items()
        ],
    )
    return "; ".join(f"{name}: {seen.detail}" for name, seen in zip(workloads, looks, strict=True) if not seen.healthy)


def _take(work: RunContext, order: KeepingOrder, freezing: datetime, not_after: datetime) -> Doing[_Taken]:
    plan = order.plan
    state = yield from replica.freeze(work, plan, freezing, not_after)
    if state is not None and (trouble := state.trouble or state.not_copyable):
        return f"The replica is unhealthy: {trouble}.", None
    set_id = POINT + order.instance.rsplit("-", 1)[1]
    consistency: Literal["application", "crash"] = "application" if state and state.frozen else "crash"
    data_until = (work.now if state.in_order else state.until(work.now)) if state else None
    yield from replica.take_set(
        work,
        plan,
        set_id,
        consistency,
        tag_run=False,
        freezing=freezing,
        not_after=not_after,
        data_until=data_until,
    )
    return None, data_until


@bp.orchestration_trigger(context_name="context")
def look_at_replica(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Reads and stores the replica's state: once the site is lost, its newest commit cannot be read any more."""
    order = KeepingOrder.model_validate(data)
    work = RunContext(ctx, RunRef(run_id=order.instance, plan=order.plan.name, epoch=0), order.plan.recovery)
    note = ReplicaOrder(run=work.run, at=work.now, probes=order.plan.commit_probes)
    try:
        note = note.model_copy(update={"state": (yield from replica.look(work, order.plan))})
    except (NeedsOperator, task.TaskFailedError) as error:
        note = note.model_copy(update={"problem": reason(error)})
    yield from work.do(note_replica, note)
    return {"replica": note.state.state if note.state else note.problem}


@bp.orchestration_trigger(context_name="context")
def thaw_replica(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Thaws a replica that a run froze and did not thaw."""
    order = KeepingOrder.model_validate(data)
    work = RunContext(ctx, RunRef(run_id=order.instance, plan=order.plan.name, epoch=0), order.plan.recovery)
    assert order.freezing is not None
    yield from replica.thaw(work, order.plan, order.freezing)
    return {"thawed": order.of_run}


@bp.orchestration_trigger(context_name="context")
def clear_leftovers(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Deletes the leftovers of a run that ended without serving; what cannot be deleted now is retried next time."""
    order = KeepingOrder.model_validate(data)
    work = RunContext(ctx, RunRef(run_id=order.instance, plan=order.plan.name, epoch=0), order.plan.recovery)
    left = yield from delete_built(work, order.plan, keep_snapshots=order.keep_point, of_run=order.of_run)
    return {"left": left}
