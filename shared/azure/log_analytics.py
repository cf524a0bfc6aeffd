"""Log Analytics: when the primary last gave a sign of life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from azure.monitor.query import LogsQueryStatus

from shared import settings
from shared.azure import clients
from shared.models.errors import QueryAnswerError

_CLOCKS_DIFFER = timedelta(minutes=5)
"""A sign of life cannot be from the future; clocks differ by less than this."""
LOOK_BACK = 12
"""How many times ``stale_after`` a query looks back: long enough to name the age of an old sign of life."""


async def newest_sign(query: str, stale_after: timedelta) -> datetime | None:
    """Runs a plan's KQL and returns the newest time that it answers, or None when there is none.

    The time may be in any column and any row: the commonest heartbeat query names the computer first. The query gets
    its window as ``look_back``, filled from the plan, so that it needs no literal. Raises azure-core's errors, and
    ``QueryAnswerError`` for rows without a single time in them; a partial result counts as no answer.
    """
    window = max(1, round(stale_after.total_seconds() * LOOK_BACK))
    text = f"let look_back = {window}s;\n{query}"
    answer = await clients.logs().query_workspace(settings.workspace_id(), text, timespan=None, server_timeout=10)
    if answer.status != LogsQueryStatus.SUCCESS or not answer.tables or not answer.tables[0].rows:
        return None
    values = [value for row in answer.tables[0].rows for value in row if value not in (None, "")]
    times = [moment for value in values if (moment := _moment(value))]
    latest = datetime.now(UTC) + _CLOCKS_DIFFER
    if times and all(moment > latest for moment in times):
        raise QueryAnswerError(f"The query returns only times in the future, the newest {max(times).isoformat()}.")
    times = [moment for moment in times if moment <= latest]
    if values and not times:
        raise QueryAnswerError(
            f"The query returns {str(values[0])[:60]!r} and no time. It must return the time of the newest sign of "
            "life, for example with summarize LastSign = max(TimeGenerated)."
        )
    return max(times, default=None)


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str) and ":" in value:  # A date alone, or a name of digits, is no moment.
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
