"""The steps of the cutover, in both directions: enable one endpoint, disable the other, read both back."""

from __future__ import annotations

from typing import Literal

import azure.durable_functions as df
from azure.core.exceptions import AzureError

from functions.activities.base import activity
from functions.activities.deadlines import TOO_LATE, too_late
from shared.azure.operations import refusal_or_none
from shared.azure.traffic_manager import read_endpoint, read_routing, switch
from shared.models.base import Strict
from shared.models.operations import Refusal, Refused
from shared.models.orders import TrafficOrder
from shared.models.plan import Endpoint
from shared.models.routing import Routing, Switch
from shared.models.runs import MOVES_CUSTOMERS
from shared.models.steps import StepEnd
from shared.store import site_state
from shared.store.runs import read_run

bp = df.Blueprint()


class Switched(Strict):
    kind: Literal["switched"] = "switched"


@activity(bp, "around")
async def enable_recovery(order: TrafficOrder) -> Switched | Refused:
    """The first half of the cutover. Raises ``LostLockError`` when the run no longer holds its plan."""
    return await _switch(order, order.traffic.recovery, "Enabled")


@activity(bp, "around")
async def disable_primary(order: TrafficOrder) -> Switched | Refused:
    """The second half: the latch. A primary that recovers does not take its traffic back."""
    return await _switch(order, order.traffic.primary, "Disabled")


@activity(bp, "around")
async def enable_primary(order: TrafficOrder) -> Switched | Refused:
    """The first half of the way home. Raises ``LostLockError`` when the run no longer holds its plan."""
    return await _switch(order, order.traffic.primary, "Enabled")


@activity(bp, "around")
async def disable_recovery(order: TrafficOrder) -> Switched | Refused:
    """The second half of the way home."""
    return await _switch(order, order.traffic.recovery, "Disabled")


async def _switch(order: TrafficOrder, endpoint: Endpoint, to: Switch) -> Switched | Refused:
    """A late redelivery must not move traffic while an operator is being asked."""
    await site_state.check_lock(order.run)
    run = await read_run(order.run.run_id)
    if run.phase not in MOVES_CUSTOMERS or run.holds != order.holds:
        message = "The run has stopped for the operator since this was ordered."
        return Refused(refusal=Refusal(kind="permanent", code=TOO_LATE, message=message))
    if late := too_late(order.not_after, "The last health check is too old to move traffic on it."):
        return Switched() if await _is_already(order, endpoint, to) else late
    refusal = await refusal_or_none(switch(order.traffic, endpoint, to))
    return Refused(refusal=refusal) if refusal else Switched()


async def _is_already(order: TrafficOrder, endpoint: Endpoint, to: Switch) -> bool:
    """Whether an earlier delivery of this order has taken effect; unknown counts as no."""
    try:
        return (await read_endpoint(order.traffic, endpoint)).enabled == (to == "Enabled")
    except AzureError:
        return False


class ReadBack(Strict):
    routing: Routing
    agrees: bool

    def as_step(self) -> StepEnd:
        if self.agrees:
            return StepEnd()
        return StepEnd(status="failed", error=f"Traffic Manager routes to: {self.routing.active_site}")


@activity(bp, "around")
async def read_back(order: TrafficOrder) -> ReadBack:
    """Reads the endpoints from Traffic Manager, and stores the result as the active site."""
    routing = await read_routing(order.traffic)
    site = routing.active_site
    await site_state.change_as_by(order.run, lambda before: site_state.routed(site, before))
    return ReadBack(routing=routing, agrees=site == order.to)
