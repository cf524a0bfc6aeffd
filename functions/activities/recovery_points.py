"""The steps on recovery points: take one, find those on record, delete the oldest."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import azure.durable_functions as df

from functions.activities.base import activity
from functions.activities.deadlines import too_late
from shared.azure.cleanup import forget_points
from shared.azure.compute import start_snapshot
from shared.azure.recovery_points import recovery_points
from shared.models.base import Strict
from shared.models.operations import PointInTime, Refusal, Refused, Started
from shared.models.orders import SnapshotOrder
from shared.models.steps import Order, StepEnd
from shared.store import site_state
from shared.store.freezing import is_frozen
from shared.store.runs import keeps_its_point

bp = df.Blueprint()


class SetOrder(Order):
    """Snapshot every named disk as one set. ``snapshots`` are the orders by ``workload/label``; none is sent after
    ``not_after``, nor, when the set belongs to a ``freezing``, once that is over.
    """

    snapshots: dict[str, SnapshotOrder]
    freezing: datetime | None = None
    not_after: datetime | None = None


class SetStarted(Strict):
    operations: dict[str, Started | Refused]

    def as_step(self) -> StepEnd:
        refused = [f"{k}: {o.refusal.sentence}" for k, o in self.operations.items() if isinstance(o, Refused)]
        return StepEnd(status="failed", error="; ".join(refused)) if refused else StepEnd(status="running")


@activity(bp, "around")
async def take_recovery_point(order: SetOrder) -> SetStarted:
    """Starts the snapshots of one set in parallel."""
    names = list(order.snapshots)
    late = too_late(order.not_after, "The replica must not stay frozen any longer.")
    if late is None and order.freezing and not await is_frozen(order.run.plan, order.freezing):
        message = "The replica is no longer frozen for this set; disks of different moments must not be combined."
        late = Refused(refusal=Refusal(kind="permanent", code="NotFrozen", message=message))
    if late:
        return SetStarted(operations=dict.fromkeys(names, late))
    started = await asyncio.gather(*(start_snapshot(order.snapshots[name]) for name in names))
    return SetStarted(operations=dict(zip(names, started, strict=True)))


class FindPointsOrder(Order):
    group: str


class PointsFound(Strict):
    points: list[PointInTime]


@activity(bp, "after")
async def find_recovery_points(order: FindPointsOrder) -> PointsFound:
    """Every complete set of the plan's snapshots, newest first."""
    found = await recovery_points(order.group, order.run.plan)
    owners = {point.run_id for point in found} - {"", order.run.run_id}
    keep = {owner for owner in owners if await keeps_its_point(owner)} | {"", order.run.run_id}
    return PointsFound(points=[point for point in found if point.run_id in keep])


class ForgetOrder(Order):
    """Keep the newest ``keep`` sets that the timer took."""

    group: str
    keep: int


@activity(bp, "after")
async def forget_recovery_points(order: ForgetOrder) -> Strict:
    """Deletes the timer's oldest sets; sets that a run took belong to the run. An active run may need any of them, so
    nothing is deleted while one is active.
    """
    if (await site_state.read_state(order.run.plan)).active_run:
        return Strict()
    await forget_points(order.group, order.run.plan, order.keep)
    return Strict()


class PointNoteOrder(Order):
    """``trouble`` says why the timer's newest recovery point could not be taken; None on success. ``holds`` is the
    moment that its data reach, None where unknown.
    """

    trouble: str | None = None
    holds: datetime | None = None


@activity(bp, "never")
async def note_point(order: PointNoteOrder) -> Strict:
    """Stores the result of the timer's newest recovery point; housekeeping warns of missing ones."""
    now = datetime.now(UTC)
    await site_state.change_state(
        order.run.plan, lambda state: site_state.point_ended(state, now, order.trouble, order.holds)
    )
    return Strict()
