"""The steps that touch the source on the premises: its writes are stopped or resumed, and its newest change is read."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import aiohttp
import azure.durable_functions as df

from functions.step import step
from shared import settings
from shared.errors import LostLockError, SettingError
from shared.plan import Fence, SqlProbe, Strict
from shared.primary import newest_commit
from shared.records import site_state
from shared.runs import Order, RunRef, StepEnd

bp = df.Blueprint()


class FenceOrder(Order):
    """Stop the source's writes, or let it write again (``resume``)."""

    fence: Fence
    action: Literal["stop", "resume"] = "stop"


class Fenced(Strict):
    done: bool
    detail: str

    def as_step(self) -> StepEnd:
        return StepEnd(status="succeeded" if self.done else "failed", error=None if self.done else self.detail)


@step(bp, "around")
async def fence_source(order: FenceOrder) -> Fenced:
    """Asks the hook to stop the source's writes. A hook that cannot be reached is an answer, not an error.

    Who stopped them is written down first, so that they are resumed when the run breaks off. An order that the engine
    delivers again late must not stop the writes of a primary on which a person chose to stay.
    """
    try:
        if order.action == "stop":
            await site_state.change_as(order.run, fenced_by=order.run.run_id)
        else:
            await site_state.check_lock(order.run)
    except LostLockError as error:
        return Fenced(done=False, detail=str(error))
    answer = await call_hook(order.fence, order.run, order.action)
    if answer.done == (order.action == "resume"):  # Writes go on: they were resumed, or were never stopped.
        await site_state.change_as(order.run, fenced_by=None)
    return answer


async def call_hook(fence: Fence, run: RunRef, action: Literal["stop", "resume"]) -> Fenced:
    """One call of the hook. Whatever it answers, also silence, is a result."""
    timeout = aiohttp.ClientTimeout(total=fence.timeout.total_seconds())
    try:
        url = settings.named(fence.hook)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, json={"run_id": run.run_id, "plan": run.plan, "action": action}) as response,
        ):
            return Fenced(done=response.status < 300, detail=f"the hook answered {response.status}")
    except (aiohttp.ClientError, TimeoutError, SettingError) as error:
        return Fenced(done=False, detail=f"the hook was not reached ({type(error).__name__})")


class HomeOrder(Order):
    """``probes`` ask the primary with the query that measures recovery points."""

    probes: list[SqlProbe]


class HomeCommit(Strict):
    """The newest commit at the primary; None when there was no answer."""

    newest: datetime | None

    def as_step(self) -> StepEnd:
        return StepEnd(detail={"newest": self.newest.isoformat() if self.newest else None})


@step(bp, "after")
async def read_home_commit(order: HomeOrder) -> HomeCommit:
    """The newest commit at the primary, for a planned failover that must not lose any."""
    return HomeCommit(newest=await newest_commit(order.probes))
