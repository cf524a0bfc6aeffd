"""The latch: while customers are served from Azure, the old primary's endpoint stays disabled."""

from __future__ import annotations

from datetime import UTC, datetime

from azure.core.exceptions import AzureError

from shared.azure.traffic_manager import read_endpoint, switch
from shared.models.plan import RecoveryPlan
from shared.models.routing import Routing
from shared.models.site_state import SiteState
from shared.policy.maintenance import maintenance
from shared.store import site_state


async def latch_again(plan: RecoveryPlan, state: SiteState, routing: Routing) -> bool:
    """Disables the primary's endpoint, which was enabled by hand, where the plan says so. True when it was read back as
    disabled; False also during maintenance, while a run acts, and where the recovery endpoint is not in service.
    """
    paused = maintenance(plan.pause, state.paused_until, state.pause_reason, datetime.now(UTC)) is not None
    if not plan.traffic.latch_again or not routing.recovery.enabled or paused:
        return False
    now = await site_state.read_state(plan.name)
    if not now.latched or (now.active_run is not None and not now.waits_for_home):
        return False
    try:
        await switch(plan.traffic, plan.traffic.primary, "Disabled")
        return not (await read_endpoint(plan.traffic, plan.traffic.primary)).enabled
    except AzureError:
        return False
