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
from shared.primary import newest_commits
from shared.records import site_state
from shared.runs import Order, RunRef, StepEnd

bp = df.Blueprint()


class FenceOrder(Order):
    """Stop the source's writes, or let it write again (``resume``)."""

    fence: Fence
    action: Literal["stop", "resume"] = "stop"


class Fenced(Strict):
    """``reached`` is False where it is certain that the hook heard nothing."""

    done: bool
    detail: str
    reached: bool = True

    def as_step(self) -> StepEnd:
        return StepEnd(status="succeeded" if self.done else "failed", error=None if self.done else self.detail)


@step(bp, "around")
async def fence_source(order: FenceOrder) -> Fenced:
    """Asks the hook to stop the source's writes. A hook that cannot be reached is an answer, not an error.

    Who stopped them is written down first, so that they are resumed when the run breaks off. An order that the engine
    delivers again late must not stop the writes of a primary on which a person chose to stay.
    """
    try:
        stopped_before = (await site_state.check_lock(order.run)).fenced_by == order.run.run_id
        if order.action == "stop":
            await site_state.change_as(order.run, fenced_by=order.run.run_id)
        elif not stopped_before:
            return Fenced(done=True, detail="its writes were not stopped")
    except LostLockError as error:
        return Fenced(done=False, detail=str(error))
    answer = await call_hook(order.fence, order.run, order.action)
    # A stop that did not answer may have stopped the writes all the same, and an earlier one may have.
    nothing_stopped = order.action == "stop" and not answer.reached and not stopped_before
    if nothing_stopped or (order.action == "resume" and answer.done):
        await site_state.change_as(order.run, fenced_by=None)
    return answer


async def call_hook(fence: Fence, run: RunRef, action: Literal["stop", "resume"]) -> Fenced:
    """One call of the hook. Whatever it answers, also silence, is a result."""
    timeout = aiohttp.ClientTimeout(total=fence.timeout.total_seconds())
    try:
        url = settings.named(fence.hook)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                url, json={"run_id": run.run_id, "plan": run.plan, "action": action}, allow_redirects=False
            ) as response,
        ):
            return Fenced(done=200 <= response.status < 300, detail=f"the hook answered {response.status}")
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, SettingError) as error:
        return Fenced(done=False, detail=f"the hook was not reached ({type(error).__name__})", reached=False)
    except Exception as error:  # noqa: BLE001 (a hook's trouble is an answer; its address may hold a secret)
        return Fenced(done=False, detail=f"the hook did not answer ({type(error).__name__})")


class HomeOrder(Order):
    """``probes`` ask the primary with the query that measures recovery points."""

    probes: list[SqlProbe]


class HomeCommits(Strict):
    """The newest commit of each of the primary's databases that answered."""

    newest: dict[str, datetime]

    def as_step(self) -> StepEnd:
        return StepEnd(detail={name: moment.isoformat() for name, moment in self.newest.items()})


@step(bp, "after")
async def read_home_commit(order: HomeOrder) -> HomeCommits:
    """The newest commits at the primary, for a planned failover that must not lose any."""
    return HomeCommits(newest=await newest_commits(order.probes))
