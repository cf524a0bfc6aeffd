"""Whether resolvers have seen that customers were moved: switched is not yet seen."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import AzureError

from shared import settings
from shared.azure.traffic_manager import read_endpoint
from shared.models.plan import Endpoint, RecoveryPlan, Traffic
from shared.models.site_state import SiteState
from shared.probes import dns
from shared.store import site_state

SILENT = "silent"
"""Of a resolver that does not answer."""
FOLLOWS_FOR = timedelta(hours=1)
"""How long after a move resolvers are asked; a TTL is minutes at most."""


async def follow_resolvers(plan: RecoveryPlan, state: SiteState) -> None:
    """Asks every resolver that has not seen the newest move yet, and stores since when it has."""
    moved, now = state.moved_at, datetime.now(UTC)
    if moved is None or now - moved > FOLLOWS_FOR:
        return
    known = state.resolvers if state.resolvers.get("moved_at") == moved.isoformat() else {"moved_at": moved.isoformat()}
    waiting = [name for name in settings.resolvers() if known.get(name) in (None, "", SILENT)]
    if not waiting:
        return
    traffic = plan.traffic
    endpoint = traffic.recovery if state.active_site == "recovery" else traffic.primary
    target = await _addresses_of(traffic, endpoint)
    if not target:
        return
    answers = await asyncio.gather(*(dns.ask(traffic.hostname, name) for name in waiting))
    found = {
        name: (now.isoformat() if set(seen) <= target else "") if seen else SILENT
        for name, seen in zip(waiting, answers, strict=True)
    }
    if (changed := known | found) != state.resolvers:
        await site_state.change_state(plan.name, lambda before: _stored(before, moved, changed))


async def _addresses_of(traffic: Traffic, endpoint: Endpoint) -> set[str]:
    """Where the endpoint's target leads; empty where Traffic Manager cannot be read or the name does not resolve."""
    try:
        target = (await read_endpoint(traffic, endpoint)).target
    except AzureError:
        return set()
    return {target} if target.replace(".", "").isdigit() else set(await dns.resolve(target))


def _stored(before: SiteState, moved: datetime, changed: dict[str, str]) -> dict[str, Any]:
    return {"resolvers": changed} if before.moved_at == moved else {}
