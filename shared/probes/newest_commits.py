"""The newest commit in the primary's databases, measured beside their health."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from shared.models.probes import SqlProbe
from shared.probes.sql import probe_sql

_log = logging.getLogger("coldsite.primary")


async def newest_commits(probes: Sequence[SqlProbe]) -> dict[str, datetime]:
    """The newest commit of each database that the probes can ask, by its name in lower case.

    A database that does not answer, or cannot be asked, is left out: no other may replace it.
    """
    newest: dict[str, datetime] = {}
    for probe in probes:
        name = probe.database.lower()
        try:
            commit = (await probe_sql(probe)).newest_commit
        except Exception as error:  # noqa: BLE001 (an error of one database must not hide the others)
            _log.warning("The newest change of %s could not be read (%s).", name, type(error).__name__)
            continue
        if commit:
            newest[name] = max(commit, newest.get(name, commit))
    return newest
