"""The steps on the replication machine: freeze the replica, thaw it, read its state, and store that."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import azure.durable_functions as df

from functions.activities.base import activity
from functions.activities.deadlines import too_late
from shared.azure.run_command import start_script
from shared.models.base import Strict
from shared.models.errors import LostLockError
from shared.models.operations import Refusal, Refused, Started
from shared.models.orders import ScriptOrder
from shared.models.probes import SqlProbe
from shared.models.replica import ReplicaState
from shared.models.steps import Order, StepEnd
from shared.probes.databases import newest_commits
from shared.store import freezing, site_state

bp = df.Blueprint()
NOT_THE_HOLDER = "NotTheHolder"


@activity(bp, "around")
async def freeze_replication(order: ScriptOrder) -> Started | Refused:
    """Pauses the replication target, so that the replica's disks agree in time. The freezing run is recorded first.

    Refused for a run that no longer holds its plan, for a keeper while a run is active, after the deadline, and once
    this freezing is over. When it was thawed while Azure accepted the order, it is recorded again and thawed later.
    """
    assert order.freezing is not None
    if late := too_late(order.not_after, "The replica must not stay frozen any longer."):
        return late
    try:
        await freezing.mark_frozen(order.run, order.freezing)
    except LostLockError as error:
        return Refused(refusal=Refusal(kind="permanent", code=NOT_THE_HOLDER, message=str(error)))
    started = await start_script(order)
    if isinstance(started, Started):
        await freezing.mark_frozen_late(order.run, order.freezing)
    return started


@activity(bp, "around")
async def read_replication(order: ScriptOrder) -> Started | Refused:
    """Reads the replica's state from the replication machine; it changes nothing there."""
    return await start_script(order)


class NotFrozen(Strict):
    """Nothing to thaw: the replica is not frozen by this freezing, or has been frozen again since."""

    kind: Literal["not_frozen"] = "not_frozen"

    def as_step(self) -> StepEnd:
        return StepEnd(status="skipped")


@activity(bp, "around")
async def thaw_replication(order: ScriptOrder) -> Started | Refused | NotFrozen:
    """Resumes the replication target, unless it has been frozen again since."""
    assert order.freezing is not None
    if not await freezing.mark_thawing(order.run.plan, order.freezing):
        return NotFrozen()
    return await start_script(order)


class ReplicaOrder(Order):
    """What a script reported of the replica at the moment ``at``, or why it could not be read. ``probes`` ask the
    primary for its newest commit.
    """

    at: datetime
    probes: list[SqlProbe]
    state: ReplicaState | None = None
    problem: str | None = None


@activity(bp, "never")
async def note_replica(order: ReplicaOrder) -> Strict:
    """Stores the replica's state and the newest commit at the primary, which cannot be read once the site is lost."""
    commits = await newest_commits(order.probes)
    await site_state.note_replica(order.run.plan, order.at, order.state, order.problem, commits)
    return Strict()
