"""A site's events between its runs, newest first: warnings, housekeeping's actions, pauses."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from shared.models.base import Strict
from shared.store.tables import EVENTS, from_row, storage, table, to_entity

REFUSALS = "_refusals"
"""The partition of refused calls; no plan can have this name."""

_LAST = 10**17


class SiteEvent(Strict):
    """One sentence on an observation or action, and its time."""

    at: datetime
    text: str


async def record_event(plan: str, text: str) -> None:
    """Adds a sentence to the site's events; events are never changed or deleted."""
    now = datetime.now(UTC)
    key = f"{_LAST - int(now.timestamp() * 1_000_000):017d}-{secrets.token_hex(2)}"
    async with storage():
        await (await table(EVENTS)).create_entity(to_entity(plan, key, {"at": now, "text": text}))


async def list_events(plan: str, limit: int = 20) -> list[SiteEvent]:
    """The newest events of a site."""
    found: list[SiteEvent] = []
    async with storage():
        rows = (await table(EVENTS)).query_entities(
            "PartitionKey eq @plan", parameters={"plan": plan}, results_per_page=limit
        )
        async for entity in rows:
            found.append(from_row(SiteEvent, entity))
            if len(found) >= limit:
                break
    return found
