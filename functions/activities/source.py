"""The steps that touch the source on premises: stop or resume its writes, read its newest change."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import azure.durable_functions as df

from functions.activities.base import activity
from shared.models.acts import Called
from shared.models.base import Strict
from shared.models.errors import LostLockError
from shared.models.hooks import Fence
from shared.models.probes import SqlProbe
from shared.models.steps import Order, StepEnd
from shared.probes.databases import newest_commits
from shared.services.hooks import post_hook
from shared.store import site_state

bp = df.Blueprint()


class FenceOrder(Order):
    """Stop the source's writes, or resume them (``resume``)."""

    fence: Fence
    action: Literal["stop", "resume"] = "stop"
    of_any_run: bool = False
    """Whether a stop by an earlier run is resumed, too: customers come home."""


@activity(bp, "around")
async def fence_source(order: FenceOrder) -> Called:
    """Asks the hook to stop the source's writes. A hook that cannot be reached is an answer, not an error.

    The run that stops them is recorded first, so that they are resumed when the run is lost. A late redelivery must not
    stop the writes of a primary that a person chose to keep.
    """
    try:
        fenced_by = (await site_state.check_lock(order.run)).fenced_by
        stopped_before = fenced_by == order.run.run_id or (order.of_any_run and fenced_by is not None)
        if order.action == "stop":
            await site_state.change_as(order.run, fenced_by=order.run.run_id)
        elif not stopped_before:
            return Called(done=True, detail="its writes were not stopped")
    except LostLockError as error:
        return Called(done=False, detail=str(error))
    fence, run = order.fence, order.run
    call = f"{run.run_id}:{order.target}:{order.action}:{order.attempt}"
    answer = await post_hook(fence.hook, fence.timeout, run.plan, run.run_id, order.action, call)
    # A stop without an answer may have stopped the writes, and so may an earlier one.
    nothing_stopped = order.action == "stop" and not answer.reached and not stopped_before
    if nothing_stopped or (order.action == "resume" and answer.done):
        await site_state.change_as(order.run, fenced_by=None)
    return answer


class HomeOrder(Order):
    """``probes`` ask the primary with the query that measures recovery points."""

    probes: list[SqlProbe]


class HomeCommits(Strict):
    """The newest commit of each of the primary's databases that answered."""

    newest: dict[str, datetime]

    def as_step(self) -> StepEnd:
        return StepEnd(detail={name: moment.isoformat() for name, moment in self.newest.items()})


@activity(bp, "after")
async def read_home_commit(order: HomeOrder) -> HomeCommits:
    """The newest commits at the primary, for a planned failover that must not lose any."""
    return HomeCommits(newest=await newest_commits(order.probes))
