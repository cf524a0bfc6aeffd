"""The latch: while customers are served from Azure, the old primary's endpoint stays disabled."""

from __future__ import annotations

from datetime import UTC, datetime

from azure.core.exceptions import AzureError

from shared.azure.traffic_manager import read_endpoint, switch
from shared.models.errors import UnknownRunError
from shared.models.plan import RecoveryPlan
from shared.models.routing import Routing
from shared.models.site_state import SiteState
from shared.policy.maintenance import maintenance
from shared.store import site_state
from shared.store.runs import read_run


async def sites_are_left_alone(state: SiteState) -> bool:
    """Whether no run is at work, or one that touches neither Traffic Manager nor the old primary: a failback that has
    stopped nothing yet, or a rebuild in Azure.
    """
    if state.active_run is None or state.waits_for_home:
        return True
    try:
        return bool((await read_run(state.active_run)).builds_again)
    except UnknownRunError:  # The run has its plan, and not yet its row.
        return False


async def latch_again(plan: RecoveryPlan, state: SiteState, routing: Routing) -> bool:
    """Disables the primary's endpoint, which was enabled by hand, where the plan says so. True when it was read back as
    disabled; False also during maintenance, while a run acts on the sites, and where recovery's endpoint is disabled.
    """
    paused = maintenance(plan.pause, state.paused_until, state.pause_reason, datetime.now(UTC)) is not None
    if not plan.traffic.latch_again or not routing.recovery.enabled or paused:
        return False
    now = await site_state.read_state(plan.name)
    if not now.latched or not await sites_are_left_alone(now):
        return False
    try:
        await switch(plan.traffic, plan.traffic.primary, "Disabled")
        return not (await read_endpoint(plan.traffic, plan.traffic.primary)).enabled
    except AzureError:
        return False
