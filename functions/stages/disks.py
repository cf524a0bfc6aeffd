"""Making the disks of a workload from a recovery point. A part of a recovery, and of its preparation."""

from __future__ import annotations

from datetime import datetime

from durabletask import task

from functions.activities.machines import Watched, create_disk
from functions.workflow.context import Doing, RunContext
from shared.models import ids
from shared.models.operations import Refusal, Refused, Started
from shared.models.orders import DiskOrder
from shared.models.plan import RecoveryTerms, Workload
from shared.models.steps import RunRef

_TOO_LONG = Refusal(kind="permanent", code="TooLong", message="It took too long.")


def disk_orders(
    run: RunRef,
    terms: RecoveryTerms,
    name: str,
    workload: Workload,
    snapshots: dict[str, str],
    zone: str | None,
    freezing: datetime | None = None,
) -> list[DiskOrder]:
    """One order for each disk of the workload ``name``; ``snapshots`` are by label. Disks are zonal. ``freezing``: they
    are made on suspicion, and only while the replica is frozen by it.
    """
    tags = {ids.TAG_RUN: run.run_id, ids.TAG_PLAN: run.plan, ids.TAG_WORKLOAD: name}
    return [
        DiskOrder(
            run=run,
            target=f"{name}/{label}",
            group=terms.resource_group,
            location=terms.location,
            name=ids.disk_name(run.run_id, name, label),
            snapshot=snapshot,
            storage=workload.storage,
            os=workload.os if label == "os" else None,
            generation=workload.generation,
            zone=zone,
            tags=terms.tags | tags,
            freezing=freezing,
        )
        for label, snapshot in snapshots.items()
    ]


def make_disks(work: RunContext, orders: list[DiskOrder], target: str) -> Doing[dict[str, Refusal]]:
    """Makes all disks side by side, and returns by target why a disk could not be made; empty when all were.

    ``target`` names the watch over them in the history.
    """

    def step(pending: dict[str, DiskOrder], attempt: int) -> Doing[dict[str, Started | Refused]]:
        numbered = [disk.model_copy(update={"attempt": attempt}) for disk in pending.values()]
        return dict(zip(pending, (yield from work.do_all(create_disk, numbered)), strict=True))

    answers = yield from work.insist_all(step, {order.target: order for order in orders})
    refused = {disk: answer.refusal for disk, answer in answers.items() if isinstance(answer, Refused)}
    if refused:
        return refused
    watched = [
        Watched(step="create_disk", target=disk, operation=answer.operation)
        for disk, answer in answers.items()
        if isinstance(answer, Started)
    ]
    states = yield from work.finish(watched, work.recovery.expected.disk, target)
    return {
        disk.target: state.refusal or _TOO_LONG
        for disk, state in zip(watched, states, strict=True)
        if state.state != "succeeded"
    }


def all_made(work: RunContext, orders: list[DiskOrder], target: str) -> Doing[bool]:
    """As ``make_disks``, where a failure stops nothing: whether every disk was made."""
    try:
        return not (yield from make_disks(work, orders, target))
    except task.TaskFailedError:
        return False
