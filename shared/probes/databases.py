"""Reading databases: their states and newest commits, at one site or at both side by side."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from shared.models.home import SAME_MOMENT, DatabaseView, HomeLook
from shared.models.probes import CountProbe, HttpProbe, SqlProbe
from shared.models.runs import Serving
from shared.probes.http import probe_http
from shared.probes.sql import probe_sql

_log = logging.getLogger("coldsite.databases")


async def look_at_both(
    home: Sequence[SqlProbe],
    azure: Sequence[SqlProbe],
    pages: Sequence[HttpProbe] = (),
    serving: Serving | None = None,
    count_query: str | None = None,
) -> HomeLook:
    """One look. Home is read first; a database that both sites name is compared. An error of one probe is its view's
    detail, and hides no other.
    """
    query = _filled(count_query, serving.recovered_until, serving.moved_at) if serving else None
    at_home, answers = await asyncio.gather(read_databases(home, query), asyncio.gather(*map(_page, pages)))
    in_azure = await read_databases(azure, query)
    both = at_home.keys() & in_azure.keys()
    look = HomeLook(
        at=datetime.now(UTC),
        home={name: at_home[name] for name in sorted(both)},
        azure={name: in_azure[name] for name in sorted(both)},
        pages=[answer for answer in answers if answer],
        moved_at=serving.moved_at if serving else None,
        only_in_azure=sorted(in_azure.keys() - at_home.keys()),
    )
    own = {name: await _took_writes(name, home, azure, count_query, look) for name in look.changed_at_home}
    return look.model_copy(update={"own_writes": {name: took for name, took in own.items() if took is not None}})


async def _took_writes(
    name: str, home: Sequence[SqlProbe], azure: Sequence[SqlProbe], count_query: str | None, look: HomeLook
) -> bool | None:
    """Whether home took writes of its own since the cutover: Azure has no row of home's newest moment, or fewer rows
    until then. A copy brings home only what Azure has. None where either could not be counted.
    """
    newest = look.changed_at_home[name]
    at_home, in_azure = ([probe for probe in probes if probe.database.lower() == name] for probes in (home, azure))
    if (there := await _rows(in_azure, _filled(count_query, newest - SAME_MOMENT, newest))) == 0:
        return True
    since = _filled(count_query, look.moved_at, newest)
    counts = await _rows(at_home, since), await _rows(in_azure, since)
    if there is None or counts[0] is None or counts[1] is None:
        return None
    return counts[0] > counts[1]


async def _rows(probes: Sequence[SqlProbe], query: str | None) -> int | None:
    views = (await read_databases(probes, query)).values() if query else ()
    return next((view.rows for view in views), None)


async def read_databases(probes: Sequence[SqlProbe], count_query: str | None = None) -> dict[str, DatabaseView]:
    """The databases by their names in lower case, read side by side."""
    views = await asyncio.gather(*(_view(probe, count_query) for probe in probes))
    return {probe.database.lower(): view for probe, view in zip(probes, views, strict=True)}


async def newest_commits(probes: Sequence[SqlProbe]) -> dict[str, datetime]:
    """The newest commit of each database that the probes can ask, by its name in lower case.

    A database that does not answer, or cannot be asked, is left out: no other may replace it.
    """
    newest: dict[str, datetime] = {}
    for probe, view in zip(probes, await asyncio.gather(*(_view(probe, None) for probe in probes)), strict=True):
        if view.newest:
            name = probe.database.lower()
            newest[name] = max(view.newest, newest.get(name, view.newest))
    return newest


async def _view(probe: SqlProbe, count_query: str | None) -> DatabaseView:
    asked = CountProbe(**probe.model_dump(), count_query=count_query) if count_query else probe
    try:
        seen = await probe_sql(asked)
    except Exception as error:  # noqa: BLE001 (an error of one database must not hide the others)
        _log.warning("%s could not be read (%s).", probe.database, type(error).__name__)
        return DatabaseView(state=None, detail=f"could not be asked ({type(error).__name__})")
    return DatabaseView(
        state=seen.state,
        read_only=seen.read_only,
        newest=seen.newest_commit,
        rows=seen.rows,
        detail=seen.unmeasured or seen.detail,
    )


async def _page(probe: HttpProbe) -> str | None:
    try:
        seen = await probe_http(probe, None)
    except Exception:  # noqa: BLE001 (a page that cannot be asked is not one that answers)
        return None
    return seen.detail if seen.healthy else None


def _filled(query: str | None, since: datetime | None, until: datetime | None) -> str | None:
    """The query with its two moments; None where one is unknown, so that nothing is counted."""
    if query is None or since is None or until is None:
        return None
    return query.replace("@since", _literal(since)).replace("@until", _literal(until + _STEP))


_STEP = timedelta(milliseconds=4)
"""Added to the end of what is counted: SQL Server's ``datetime`` counts in steps of 1/300 s."""


def _literal(moment: datetime) -> str:
    """A moment as SQL Server reads it in every language setting, also for a column of type ``datetime``."""
    return f"'{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}'"
