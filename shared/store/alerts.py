"""The received alerts: their content, their result, and which are not resolved yet.

Rows of one plan share a partition, so that many alerts are written as one transaction. An alert that has fired and is
not resolved has a second row; the watch looks for those.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableTransactionError

from shared.models.alert import Alert
from shared.models.base import Strict
from shared.store.tables import ALERTS, storage, table, to_entity

AT_ONCE = 50
"""The number of alerts in one transaction: 100 rows at most, and an alert needs two.

Source: MicrosoftDocs/azure-docs, performing entity group transactions (100 entities, 4 MiB, one partition).
"""
_OPEN = "PartitionKey eq @plan and RowKey ge 'open-' and RowKey lt 'open.'"
_COUNTS_TO = 50


class Received(Strict):
    """The result of an alert that was received before."""

    run_id: str | None
    answer: str


async def keep(plan: str, alerts: Sequence[Alert], opening: set[str]) -> dict[str, Received]:
    """Stores alerts and returns, by dedupe key, the results of those that were received before.

    ``opening`` are the ids of alerts that count as unresolved from now on. An alert whose first delivery was
    interrupted before it had a result counts as new. Storing again changes nothing. At most ``AT_ONCE`` alerts at a
    time.
    """
    now = datetime.now(UTC)
    new = {alert.dedupe_key: _row(plan, alert, now) for alert in alerts}
    opened = {_open_key(alert_id): to_entity(plan, _open_key(alert_id), {"opened_at": now}) for alert_id in opening}
    async with storage():
        rows = await table(ALERTS)
        work: list[Any] = [("create", row) for row in new.values()] + [("upsert", row) for row in opened.values()]
        try:
            await rows.submit_transaction(work)
        except (TableTransactionError, ResourceExistsError) as error:
            if error.status_code != 409:
                raise
        else:
            return {}
    return await _one_by_one(plan, new, opened)


async def _one_by_one(
    plan: str, new: dict[str, dict[str, Any]], opened: dict[str, dict[str, Any]]
) -> dict[str, Received]:
    """Some of them are known; each is stored separately to find out which. A known alert is not reopened."""
    async with storage():
        rows = await table(ALERTS)

        async def keep_one(key: str, row: dict[str, Any]) -> Received | None:
            try:
                await rows.create_entity(row)
            except ResourceExistsError:
                found = await rows.get_entity(plan, key)
                if answer := found.get("answer"):
                    return Received(run_id=found.get("run_id") or None, answer=str(answer))
            if opens := opened.get(_open_key(row["alert_id"])):
                await rows.upsert_entity(opens)
            return None

        kept = await asyncio.gather(*(keep_one(key, row) for key, row in new.items()))
    return {key: received for key, received in zip(new, kept, strict=True) if received}


def _row(plan: str, alert: Alert, now: datetime) -> dict[str, Any]:
    fields = {
        "alert_id": alert.alert_id,
        "rule": alert.rule,
        "condition": alert.condition,
        "service": alert.service,
        "endpoint": ", ".join(alert.endpoints),
        "received_at": now,
    }
    return to_entity(plan, alert.dedupe_key, fields)


def _open_key(alert_id: str) -> str:
    return f"open-{hashlib.sha256(alert_id.encode()).hexdigest()[:32]}"


async def answer(plan: str, kept: dict[str, Received]) -> None:
    """Stores the results of alerts by dedupe key. At most ``AT_ONCE`` at a time."""
    if not kept:
        return
    changes = [
        ("update", to_entity(plan, key, {"run_id": received.run_id, "answer": received.answer}), {"mode": "merge"})
        for key, received in kept.items()
    ]
    async with storage():
        await (await table(ALERTS)).submit_transaction(changes)


async def close(plan: str, alert_id: str) -> None:
    """The alert is resolved."""
    async with storage():
        await (await table(ALERTS)).delete_entity(plan, _open_key(alert_id))


async def close_before(plan: str, moment: datetime) -> None:
    """The primary was seen healthy at ``moment``, so alerts that fired before are no longer open."""
    async with storage():
        rows = await table(ALERTS)
        asked = rows.query_entities(
            f"{_OPEN} and opened_at lt @moment", parameters={"plan": plan, "moment": moment}, select=["RowKey"]
        )
        for key in [str(row["RowKey"]) async for row in asked]:
            await rows.delete_entity(plan, key)


async def count_open(plan: str) -> int:
    """The number of fired and unresolved alerts; fifty means fifty or more."""
    count = 0
    async with storage():
        asked = (await table(ALERTS)).query_entities(
            _OPEN, parameters={"plan": plan}, select=["RowKey"], results_per_page=_COUNTS_TO
        )
        async for _ in asked:
            count += 1
            if count >= _COUNTS_TO:
                break
    return count
