"""The SQL probe: is the database ONLINE, and what is its newest commit?

A server that answers is alive. A refused login, or a missing right to one database, says nothing of the site
(``untrusted``). An error after ONLINE was read affects the measurement alone, never health.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import OpenSSL.SSL
import pytds

from shared import settings
from shared.models.probes import CountProbe, SqlProbe
from shared.probes.answer import ProbeAnswer

_LASTING = {"SUSPECT", "RECOVERY_PENDING", "EMERGENCY", "OFFLINE", "RESTORING", "OFFLINE_SECONDARY"}
"""States that do not pass by themselves: RESTORING waits for a RESTORE command from an administrator. RECOVERING and
COPYING do pass. Repair with data loss is never automated.
Source: MicrosoftDocs/sql-docs:docs/relational-databases/databases/database-states.md"""

_STARTING = {18401, 17187, 17142, 17809, 17830, 17803}
"""Errors of a server that is starting, paused or full: they may pass.
Source: MicrosoftDocs/sql-docs:docs/relational-databases/errors-events/database-engine-events-and-errors-*.md"""

_AHEAD = timedelta(minutes=2)
"""Allowed clock skew; a commit further in the future is not in UTC."""


async def probe_sql(probe: SqlProbe, default_address: str | None = None) -> ProbeAnswer:
    """Asks once, in a thread, since the driver blocks. Only ONLINE is healthy.

    The measurement has the probe's time-out of its own. Raises ``SettingError`` when a setting is missing.
    """
    address = probe.server or default_address or ""
    user, password = settings.credential(probe.credential)
    authority = settings.named(probe.certificate_authority) if probe.certificate_authority else None
    seconds = probe.timeout.total_seconds()
    try:
        async with asyncio.timeout(seconds):
            # The driver retries a refused connection until its time-out; a refusal is an answer.
            _, writer = await asyncio.open_connection(address, probe.port)
            writer.close()
        return await asyncio.wait_for(
            asyncio.to_thread(_ask, probe, address, user, password, authority, seconds), 2 * seconds + 1
        )
    except socket.gaierror:
        message = f"{address} is a name that does not resolve"
        return ProbeAnswer(healthy=False, detail=message, untrusted=True)
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
    except Exception as error:  # noqa: BLE001 (the driver raises bare exceptions for what it does not understand)
        return _without_connection(error, address)
    try:
        with connection, connection.cursor() as cursor:
            return _look(probe, address, cursor)
    except pytds.DatabaseError as error:
        return _refused(f"{address}: {_words(error)}", number=_number(error))
    except (pytds.Error, OSError) as error:
        return ProbeAnswer(healthy=False, detail=f"{address} {_why(error)}", answered=True)


def _look(probe: SqlProbe, address: str, cursor: Any) -> ProbeAnswer:
    cursor.execute(
        "SELECT name, state_desc, is_read_only FROM sys.databases WHERE LOWER(name) = LOWER(%s)", (probe.database,)
    )
    rows = cursor.fetchall()
    found: dict[str, str] = {str(name): str(state) for name, state, _ in rows}
    read_only = {str(name) for name, _, flag in rows if flag}
    name = probe.database if probe.database in found else next(iter(found), None)
    if name is None:
        message = f"{address}: database {probe.database} does not exist, or is not visible to the probe's login"
        return _refused(message, number=None)
    if found[name] != "ONLINE":
        detail = f"{address}: database {name} is {found[name]}"
        return ProbeAnswer(
            healthy=False, detail=detail, answered=True, hopeless=found[name] in _LASTING, state=found[name]
        )
    cursor.execute(f"USE [{name.replace(']', ']]')}]")
    cursor.execute("SELECT 1")
    cursor.fetchone()
    commit, unmeasured = _measure(probe, cursor)
    return ProbeAnswer(
        healthy=True,
        detail=f"{address}: database {name} is ONLINE",
        answered=True,
        state=found[name],
        read_only=name in read_only,
        newest_commit=commit,
        rows=_count(probe, cursor) if isinstance(probe, CountProbe) else None,
        unmeasured=unmeasured,
    )


def _measure(probe: SqlProbe, cursor: Any) -> tuple[datetime | None, str | None]:
    """The newest commit, or why it could not be measured; neither where the plan does not ask."""
    if not probe.recovery_point_query:
        return None, None
    try:
        cursor.execute(probe.recovery_point_query)
        row: Any = cursor.fetchone()
        return _moment(row[0] if row else None), None
    except pytds.DatabaseError as error:
        return None, f"recovery_point_query failed: {_words(error)}"
    except TimeoutError:
        return None, "recovery_point_query took longer than the probe's time-out"
    except (pytds.Error, OSError, ValueError, IndexError) as error:
        return None, f"recovery_point_query: {_words(error)}"


def _count(probe: CountProbe, cursor: Any) -> int | None:
    """The count, or None where it could not be made: like every measurement it decides nothing about health."""
    try:
        cursor.execute(probe.count_query)
        row: Any = cursor.fetchone()
        return int(row[0])
    except (pytds.Error, OSError, ValueError, TypeError, IndexError):
        return None


def _moment(value: Any) -> datetime | None:
    """A commit's time. It must be UTC: a column in local time needs ``AT TIME ZONE`` in the query.

    Raises ``ValueError`` for a value that is not a time, and for a time in the future.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError(f"it returned {value[:40]!r}, which is not a time such as 2027-01-15T20:00:00") from error
    if not isinstance(value, datetime):
        raise ValueError(f"it returned {str(value)[:40]}, which is not a time")
    moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    if moment > datetime.now(UTC) + _AHEAD:
        raise ValueError(f"it returned {moment:%Y-%m-%d %H:%M}, which is in the future: it must return UTC")
    return moment


def _without_connection(error: Exception, address: str) -> ProbeAnswer:
    """Why there is no connection: the network, or a server that answered and refused it."""
    chain = list(_chain(error))
    if refusal := next((cause for cause in chain if isinstance(cause, pytds.DatabaseError)), None):
        return _refused(f"{address} answered and refused the login: {_words(refusal)}", number=_number(refusal))
    if any(isinstance(cause, OpenSSL.SSL.Error) for cause in chain):
        return _refused(f"{address} answered, but its certificate is not trusted", number=None)
    if any(isinstance(cause, pytds.ClosedConnectionError) for cause in chain):
        # No answer: a device in front may accept connections for a server that is gone.
        message = f"{address} accepts connections and closes them; it may require strict encryption"
        return ProbeAnswer(healthy=False, detail=message, untrusted=True)
    if isinstance(error, OSError):
        return ProbeAnswer(healthy=False, detail=f"{address} {_why(error)}")
    if "encryption" in str(error) or "tls_ctx" in str(error):
        message = (
            f"{address} answered and requires encryption: set certificate_authority in this probe to the app setting "
            "that names its authority's file"
        )
        return _refused(message, number=None)
    message = f"{address} answered, but not as SQL Server does ({_words(error)})"
    return ProbeAnswer(healthy=False, detail=message, answered=True, untrusted=True)


def _refused(detail: str, number: int | None) -> ProbeAnswer:
    """A live server that refuses Coldsite. A refusal that does not pass by itself needs the operator at once."""
    return ProbeAnswer(healthy=False, detail=detail, answered=True, untrusted=True, hopeless=number not in _STARTING)


def _number(error: BaseException) -> int:
    return int(getattr(error, "msg_no", 0) or getattr(error, "number", 0) or 0)


def _words(error: BaseException) -> str:
    """The error in one line: the server's own message without the driver's wrapping."""
    message = getattr(error, "text", None) or (str(error) or type(error).__name__)
    line = " ".join(str(message).split())[:200]
    number = _number(error)
    return f"{line} (error {number})" if number else line


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _why(error: BaseException) -> str:
    for cause in _chain(error):
        if isinstance(cause, ConnectionRefusedError):
            return "refused the connection"
        if isinstance(cause, TimeoutError):
            return "gave no answer in time"
    return f"cannot be reached ({_words(error)})"
