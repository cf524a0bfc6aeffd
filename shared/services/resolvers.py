"""Whether resolvers have seen that customers were moved: switched is not yet seen."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from shared import settings
from shared.models.plan import RecoveryPlan
from shared.models.site_state import SiteState
from shared.probes import dns
from shared.store import site_state

FOLLOWS_FOR = timedelta(hours=1)
"""How long after a move resolvers are asked; a TTL is minutes at most."""


async def follow_resolvers(plan: RecoveryPlan, state: SiteState) -> None:
    """Asks every resolver that has not seen the newest move yet, and stores since when it has."""
    moved, now = state.moved_at, datetime.now(UTC)
    if moved is None or now - moved > FOLLOWS_FOR:
        return
    known = state.resolvers if state.resolvers.get("moved_at") == moved.isoformat() else {"moved_at": moved.isoformat()}
    waiting = [name for name in settings.resolvers() if not known.get(name)]
    if not waiting:
        return
    wanted = set(await dns.resolve(plan.traffic.hostname))
    answers = await asyncio.gather(*(dns.ask(plan.traffic.hostname, name) for name in waiting))
    found = {
        name: now.isoformat() if wanted and seen and set(seen) <= wanted else ""
        for name, seen in zip(waiting, answers, strict=True)
    }
    if (changed := known | found) != state.resolvers:
        await site_state.change_state(plan.name, lambda before: _stored(before, moved, changed))


def _stored(before: SiteState, moved: datetime, changed: dict[str, str]) -> dict[str, Any]:
    return {"resolvers": changed} if before.moved_at == moved else {}
