"""Runs whose orchestration is gone: their rows are ended, and what they were in the middle of is looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.cloud.traffic import read_routing
from shared.errors import UnknownRunError
from shared.plan import RecoveryPlan
from shared.records import journal, site_state
from shared.records.site_state import SiteState
from shared.runs import Phase
from shared.telling import tell

_GONE = "The run's orchestration ended without a result."
_HALF_MOVED = "Customers were being moved; where they are sent now was read from Traffic Manager."


async def end_lost(plan: RecoveryPlan, run_id: str) -> SiteState:
    """Ends the row of a run that nobody carries on, says so, and returns the site's state as it is then.

    A failover that was lost while it moved the customers leaves them where Traffic Manager sends them, so that is read
    and remembered: what it built may be what serves them, and is never cleared away. Raises azure-core's errors when
    Traffic Manager cannot be read. Safe to repeat.
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
        because = f"{_GONE} {_HALF_MOVED}"
        site = (await read_routing(plan.traffic)).active_site
        latched = site == "recovery"

        def remember(before: SiteState) -> dict[str, Any]:
            return {
                "active_site": site,
                "latched": latched,
                "latched_at": (before.latched_at or datetime.now(UTC)) if latched else None,
            }

        state = await site_state.change_state(plan.name, remember)
    await journal.end_orphan(run_id, because)
    where = f" Customers are now sent to: {state.active_site}." if run.phase is not Phase.CONFIRMING else ""
    await tell(plan, f"Run {run_id} was lost in phase {run.phase.value}. {because}{where} See its steps.")
    return state
