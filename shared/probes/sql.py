"""The SQL probe: is the database ONLINE, and what is its newest commit?"""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from typing import Any

import OpenSSL.SSL
import pytds

from shared import settings
from shared.plan import SqlProbe
from shared.probes.answer import ProbeAnswer

_HOPELESS = {"SUSPECT", "RECOVERY_PENDING", "EMERGENCY", "OFFLINE"}
"""States that do not pass by themselves. RESTORING and RECOVERING do. Repairing with data loss is never automated.
Source: MicrosoftDocs/sql-docs:docs/relational-databases/databases/database-states.md"""


async def probe_sql(probe: SqlProbe, default_address: str | None = None) -> ProbeAnswer:
    """Asks once, in a thread, since the driver blocks. Only ONLINE is healthy."""
    address = probe.server or default_address or ""
    user, password = settings.credential(probe.credential)
    authority = settings.named(probe.certificate_authority) if probe.certificate_authority else None
    seconds = probe.timeout.total_seconds()
    try:
        async with asyncio.timeout(seconds):
            # The driver tries a refused connection again until its time is up; a refusal is an answer.
            _, writer = await asyncio.open_connection(address, probe.port)
            writer.close()
        return await asyncio.wait_for(
            asyncio.to_thread(_ask, probe, address, user, password, authority, seconds), seconds + 1
        )
    except TimeoutError:
        return ProbeAnswer(healthy=False, detail=f"{address} gave no answer in time")
    except OSError as error:
        return ProbeAnswer(healthy=False, detail=f"{address} {_why(error)}")


def _ask(probe: SqlProbe, address: str, user: str, password: str, authority: str | None, seconds: float) -> ProbeAnswer:
    try:
        connection = pytds.connect(
            dsn=address,
            port=probe.port,
            database="master",
            user=user,
            password=password,
            timeout=seconds,
            login_timeout=seconds,
            cafile=authority,
            validate_host=False,
            autocommit=True,
            appname="coldsite",
        )
    except pytds.LoginError as error:
        said = f"{address} refused the login: {_line(error)}"
        return ProbeAnswer(healthy=False, detail=said, answered=True, untrusted=True)
    except OpenSSL.SSL.Error:
        said = f"{address} showed a certificate that is not trusted"
        return ProbeAnswer(healthy=False, detail=said, answered=True, untrusted=True)
    except (pytds.Error, OSError) as error:
        return ProbeAnswer(healthy=False, detail=f"{address} {_why(error)}")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT state_desc FROM sys.databases WHERE name = %s", (probe.database,))
            row: Any = cursor.fetchone()
            state = str(row[0]) if row else None
            if state != "ONLINE":
                detail = f"{address}: database {probe.database} is {state or 'not there'}"
                return ProbeAnswer(healthy=False, detail=detail, hopeless=state in _HOPELESS)
            cursor.execute(f"USE [{probe.database.replace(']', ']]')}]")
            cursor.execute(probe.recovery_point_query or "SELECT 1")
            newest: Any = cursor.fetchone()
    except (pytds.Error, OSError) as error:
        return ProbeAnswer(healthy=False, detail=f"{address}: {_line(error)}")
    commit = newest[0] if probe.recovery_point_query and newest else None
    try:
        moment = _moment(commit)
    except ValueError:
        return ProbeAnswer(healthy=False, detail=f"{address}: recovery_point_query answered no time", hopeless=True)
    return ProbeAnswer(healthy=True, detail=f"{address}: database {probe.database} is ONLINE", newest_commit=moment)


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _why(error: BaseException) -> str:
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, ConnectionRefusedError):
            return "refused the connection"
        if isinstance(chain, (TimeoutError, socket.timeout)):
            return "gave no answer in time"
        chain = chain.__cause__ or chain.__context__
    return f"cannot be reached ({_line(error)})"
