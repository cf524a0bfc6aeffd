"""Log Analytics: when the primary last gave a sign of life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from azure.monitor.query import LogsQueryStatus

from shared import settings
from shared.cloud import clients

LOOK_BACK = 12
"""How many times ``stale_after`` a query looks back: long enough to name the age of an old sign of life."""


async def newest_sign(query: str, stale_after: timedelta) -> datetime | None:
    """Runs a plan's KQL and returns the time in the first row's first column, or None when there is none.

    The query gets its window as ``look_back``, filled from the plan, so that no literal is in it. Raises azure-core's
    errors; a partial result counts as no answer.
    """
    window = max(1, round(stale_after.total_seconds() * LOOK_BACK))
    text = f"let look_back = {window}s;\n{query}"
    answer = await clients.logs().query_workspace(settings.workspace_id(), text, timespan=None, server_timeout=10)
    if answer.status != LogsQueryStatus.SUCCESS or not answer.tables or not answer.tables[0].rows:
        return None
    value = answer.tables[0].rows[0][0]
    if isinstance(value, str) and value:
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
