"""Runs whose orchestration is gone: their rows are ended, and what they were in the middle of is looked at."""

from __future__ import annotations

import asyncio
from typing import Any, Literal, Protocol

from shared import names
from shared.cloud.traffic import read_routing
from shared.errors import UnknownRunError
from shared.plan import RecoveryPlan
from shared.records import journal, site_state
from shared.records.site_state import SiteState
from shared.runs import Phase, RecoveryRun
from shared.telling import tell

_GONE = "The run broke off without a result."
_HALF_MOVED = "Customers were being moved; where they are sent now was read from Traffic Manager."


class Hub(Protocol):
    """What is asked of the durable engine."""

    async def start(self, orchestrator: str, instance_id: str, data: dict[str, Any]) -> None: ...

    async def state(self, instance_id: str) -> Literal["running", "ended", "unknown"]: ...

    async def send(self, instance_id: str, event: str, data: dict[str, Any]) -> None: ...


async def end_lost(plan: RecoveryPlan, run_id: str, hub: Hub) -> SiteState:
    """Ends the row of a run that nobody carries on, says so, and returns the site's state as it is then.

    What still builds in its name is ended first; while it does, the row stays open, and this is to be called again.

    A failover that was lost while it moved the customers leaves them where Traffic Manager sends them, so that is read
    and remembered: unless it moved nobody, what it built may be what serves them, and is never cleared away. Raises
    azure-core's errors when Traffic Manager cannot be read. Safe to repeat.
    """
    state = await site_state.read_state(plan.name)
    try:
        run = await journal.read_run(run_id)
    except UnknownRunError:
        return state
    if run.outcome is not None:
        return state
    because = _GONE
    if run.cutover_began:
        site = (await read_routing(plan.traffic)).active_site
        state = await site_state.change_state(plan.name, lambda before: site_state.routed(site, before))
        because = f"{_GONE} {_HALF_MOVED}"
        if site == "primary":  # Nobody was moved, so what it built serves nobody.
            await journal.update_run(run_id, cutover_began=False)
    if await _still_building(plan, run, hub):
        return state
    await journal.end_orphan(run_id, because)
    where = f" Customers are now sent to: {state.active_site}." if run.phase is not Phase.CONFIRMING else ""
    await tell(plan, f"Run {run_id} was lost in phase {run.phase.value}. {because}{where} See its steps.")
    return state


async def _still_building(plan: RecoveryPlan, run: RecoveryRun, hub: Hub) -> bool:
    """Tells the run's workloads to stop, and says whether any has not yet. The row may be one attempt behind."""
    children = [
        names.child_instance(run.run_id, workload, attempt)
        for workload in plan.recovery.workloads
        for attempt in range(1, run.builds + 2)
    ]
    states = await asyncio.gather(*(hub.state(child) for child in children))
    running = [child for child, state in zip(children, states, strict=True) if state == "running"]
    await asyncio.gather(*(hub.send(child, names.EVENT_ABORT, {"by": "the end of its run"}) for child in running))
    return bool(running)
