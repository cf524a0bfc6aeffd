"""What is asked of the primary's database beside its health: the newest commit there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.errors import SettingError
from shared.plan import SqlProbe
from shared.probes.sql import probe_sql


async def newest_commit(probes: Sequence[SqlProbe]) -> datetime | None:
    """The newest commit that the probes find; None when there is no way to ask, or no answer."""
    newest: datetime | None = None
    for probe in probes:
        try:
            commit = (await probe_sql(probe)).newest_commit
        except SettingError:
            continue
        newest = max(filter(None, (newest, commit)), default=None)
    return newest
