"""A SQL Server machine's stand-in: TDS in front, SQLite behind, with the states that a database can be in."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
import ssl
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lab.site import tds
from lab.site.listening import stop_listening

VERSION = "Microsoft SQL Server 2016 (SP3) - 13.0.6300.2 (X64)"


LOGIN_REFUSALS = {
    18456: "Login failed for user '{user}'.",
    18486: "Login failed for user '{user}' because the account is currently locked out.",
    18487: "Login failed for user '{user}'. Reason: The password of the account has expired.",
    18488: "Login failed for user '{user}'. Reason: The password of the account must be changed.",
    18452: "Login failed. The login is from an untrusted domain.",
    18401: "Login failed for user '{user}'. Reason: Server is in script upgrade mode.",
    17142: "SQL Server service has been paused. No new connections will be allowed.",
    17187: "SQL Server is not ready to accept new client connections.",
    17809: "Could not connect because the maximum number of user connections has been reached.",
}
"""SQL Server's refusals of a login, by error number; the server itself keeps running.
Source: MicrosoftDocs/sql-docs:docs/relational-databases/errors-events (numbers; the words are our own)."""
PROBE = "coldsite"
"""How the probe names its application."""


@dataclass
class Oddity:
    """A server's misbehaviour for the probe alone, while it serves all other clients.

    ``login_number`` refuses its login, ``use_number`` its right to the database, ``query_number`` the query that
    measures the recovery point; that query takes ``query_seconds`` real seconds, and its clock is ``hours`` ahead.
    """

    login_number: int = 0
    use_number: int = 0
    use_text: str = ""
    query_number: int = 0
    query_text: str = ""
    query_seconds: float = 0.0
    hours: float = 0.0


class ShopOrder(NamedTuple):
    """An acknowledged order: its number and when it was committed (UTC, ISO 8601)."""

    number: str
    placed_at: str


class SqlRefusal(NamedTuple):
    """One message with which a login is refused."""

    number: int
    level: int
    text: str


class ResultSet(NamedTuple):
    """What a statement came to: rows with their columns, how many rows changed, or another database."""

    columns: list[str] | None = None
    rows: list[Any] = []
    changed: int | None = None
    database: str = ""


@dataclass
class Session:
    """One client's transaction: whether one is open, and the rows that it inserted."""

    open: bool = False
    rows: list[int | None] = field(default_factory=list)
    is_probe: bool = False


class SqlServer:
    """One server with one database. Closing a listener refuses connections; the data stays."""

    def __init__(self, name: str, database: str, user: str, password: str, tls: ssl.SSLContext | None) -> None:
        self._name = name
        self.database = database
        self._login = (user, password)
        self._tls = tls
        self._listeners: dict[str, asyncio.Server] = {}
        self.odd = Oddity()
        self.read_only = False
        """Whether the source's writes are stopped."""
        self._sqlite = sqlite3.connect(":memory:", isolation_level=None)
        self._sqlite.execute("ATTACH ':memory:' AS dbo")
        self._sqlite.execute("ATTACH ':memory:' AS sys")
        self._sqlite.execute("CREATE TABLE dbo.Orders (Number TEXT PRIMARY KEY, PlacedAtUtc TEXT NOT NULL)")
        self._sqlite.execute(
            "CREATE TABLE sys.databases (name TEXT, database_id INTEGER, state_desc TEXT, is_read_only INTEGER)"
        )
        self._sqlite.execute(
            "INSERT INTO sys.databases VALUES ('master', 1, 'ONLINE', 0), (?, 5, 'ONLINE', 0)", (database,)
        )

    # What the lab asks and sets

    @property
    def state(self) -> str:
        row = self._sqlite.execute("SELECT state_desc FROM sys.databases WHERE database_id = 5").fetchone()
        return str(row[0])

    @state.setter
    def state(self, value: str) -> None:
        self._sqlite.execute("UPDATE sys.databases SET state_desc = ? WHERE database_id = 5", (value,))

    def load(self, orders: Sequence[ShopOrder]) -> None:
        self._sqlite.executemany("INSERT OR IGNORE INTO dbo.Orders VALUES (?, ?)", orders)

    def orders(self, after_row: int = 0) -> list[ShopOrder]:
        """Committed orders in the order of their commits, beginning after so many."""
        rows = self._sqlite.execute(
            "SELECT Number, PlacedAtUtc FROM dbo.Orders ORDER BY rowid LIMIT -1 OFFSET ?", (after_row,)
        )
        return [ShopOrder(*row) for row in rows]

    # Listening

    async def listen(self, address: str, port: int) -> None:
        if address not in self._listeners:
            self._listeners[address] = await asyncio.start_server(self._serve, address, port)

    async def refuse(self, address: str) -> None:
        """Closes one address: connections are cut and refused from now on."""
        if listener := self._listeners.pop(address, None):
            await stop_listening(listener)

    async def stop(self) -> None:
        for address in list(self._listeners):
            await self.refuse(address)
        self._sqlite.close()

    # Serving

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = tds.Connection(reader, writer, self._tls)
        try:
            await connection.prelogin()
            if session := await self._accept(connection):
                while True:
                    kind, body = await connection.receive()
                    await connection.send(await self._after_a_while(session, kind, body))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, tds.ProtocolError, ValueError):
            pass
        except (struct.error, IndexError):
            pass  # bytes that are not TDS: the connection is closed, the others are served
        finally:
            with contextlib.suppress(RuntimeError):
                connection.close()

    async def _after_a_while(self, session: Session, kind: int, body: bytes) -> bytes:
        """The answer, delayed where the measurement is slow: other clients are answered meanwhile."""
        if session.is_probe and self.odd.query_seconds and "MAX(".encode("utf-16-le") in body.upper():
            await asyncio.sleep(self.odd.query_seconds)
        return self._answer(session, kind, body)

    async def _accept(self, connection: tds.Connection) -> Session | None:
        kind, body = await connection.receive()
        if kind != tds.LOGIN:
            raise tds.ProtocolError("no login after the prelogin")
        login = tds.read_login(body)
        wanted = login.database or "master"
        if refusals := self.login_refusals(login.user, login.password, wanted, is_probe=login.app == PROBE):
            refusal = b"".join(tds.message(0xAA, r.number, r.level, r.text, self._name) for r in refusals)
            await connection.send(refusal + tds.done(error=True))
            return None
        await connection.send(tds.login_accepted(wanted, self._name))
        return Session(is_probe=login.app == PROBE)

    def login_refusals(self, user: str, password: str, database: str, *, is_probe: bool) -> list[SqlRefusal]:
        """Why a login is refused, in the server's messages; none when it is accepted."""
        if is_probe and (number := self.odd.login_number):
            return [SqlRefusal(number, 14, LOGIN_REFUSALS[number].format(user=user))]
        failed = SqlRefusal(18456, 14, f"Login failed for user '{user}'.")
        if (user, password) != self._login:
            return [failed]
        cannot_open = SqlRefusal(
            4060, 11, f'Cannot open database "{database}" requested by the login. The login failed.'
        )
        if database.lower() not in ("master", self.database.lower()):
            return [cannot_open]
        return [cannot_open, failed] if database.lower() != "master" and self.state != "ONLINE" else []

    def _answer(self, session: Session, kind: int, body: bytes) -> bytes:
        if kind == tds.ATTENTION:
            return tds.done(attention=True)
        if kind == tds.TRANSACTION:
            request = int.from_bytes(body[22:24], "little")
            self._transact(session, {5: "BEGIN", 7: "COMMIT", 8: "ROLLBACK"}.get(request, ""))
            return tds.transaction_changed({5: 8, 7: 9, 8: 10}.get(request, 8)) + tds.done()
        try:
            if kind == tds.BATCH:
                return self._run(session, tds.read_batch(body), {}, rpc=False)
            if kind == tds.RPC:
                statement, values = tds.read_rpc(body)
                return self._run(session, statement, values, rpc=True)
        except tds.ProtocolError as error:
            return tds.message(0xAA, 2812, 16, f"Could not do that: {error}.", self._name) + tds.done(error=True)
        raise tds.ProtocolError(f"message type 0x{kind:02x}")

    def _run(self, session: Session, batch: str, values: dict[str, Any], rpc: bool) -> bytes:
        answer, rows = b"", None
        for statement in _statements(batch):
            try:
                part, rows = self._execute(session, statement, values)
            except SqlServerError as error:
                return (
                    answer + tds.message(0xAA, error.number, 16, str(error), self._name) + tds.done(error=True, rpc=rpc)
                )
            answer += part
        return answer + tds.done(rows, rpc=rpc)

    def _execute(self, session: Session, statement: str, values: dict[str, Any]) -> tuple[bytes, int | None]:
        result = self.execute(session, statement, values)
        if result.columns is not None:
            return tds.result_set(result.columns, result.rows), len(result.rows)
        return tds.database_changed(result.database) if result.database else b"", result.changed

    def execute(self, session: Session, statement: str, values: dict[str, Any] | Sequence[Any]) -> ResultSet:
        """One statement. Raises ``SqlServerError``."""
        words = statement.upper().split()
        if words[0] in ("BEGIN", "COMMIT", "ROLLBACK"):
            self._transact(session, words[0])
            return ResultSet()
        if words[0] == "SET" or (words[0] == "IF" and "TRANCOUNT" in statement.upper()):
            return ResultSet()
        if words[0] == "USE":
            if session.is_probe and self.odd.use_number:
                raise SqlServerError(self.odd.use_number, self.odd.use_text)
            return self._use(statement[3:].strip().strip("[]"))
        if words[0] == "INSERT" and self.read_only:
            raise SqlServerError(3906, f"Failed to update database '{self.database}' because it is read-only.")
        if "DBO." in statement.upper() and self.state != "ONLINE":
            raise SqlServerError(
                945, f"Database '{self.database}' cannot be opened due to inaccessible files. It is {self.state}."
            )
        if "MAX(" in statement.upper() and session.is_probe:
            if self.odd.query_number:
                raise SqlServerError(self.odd.query_number, self.odd.query_text)
            if self.odd.hours:
                ahead = f"strftime('%Y-%m-%dT%H:%M:%S', MAX(PlacedAtUtc), '{self.odd.hours:+} hours')"
                statement = f"SELECT {ahead} FROM dbo.Orders"  # noqa: S608 (a number of our own)
        text = re.sub(r"@@VERSION", f"'{VERSION}'", statement, flags=re.IGNORECASE)
        text = re.sub(r"@(\w+)", r":\1", text)
        try:
            cursor = self._sqlite.execute(text, values)
        except sqlite3.Error as error:
            raise SqlServerError(102, f"Incorrect syntax or object: {error}.") from error
        if cursor.description is None:
            if session.open and words[0] == "INSERT":
                session.rows.append(cursor.lastrowid)
            return ResultSet(changed=cursor.rowcount)
        return ResultSet([column[0] for column in cursor.description], cursor.fetchall())

    def _transact(self, session: Session, what: str) -> None:
        """Rows are there at once and go again with a rollback: others may see them early, as with dirty reads."""
        if what == "ROLLBACK":
            self._sqlite.executemany("DELETE FROM dbo.Orders WHERE rowid = ?", [(row,) for row in session.rows])
        session.open = what == "BEGIN"
        session.rows.clear()

    def _use(self, database: str) -> ResultSet:
        if database.lower() not in ("master", self.database.lower()):
            raise SqlServerError(911, f"Database '{database}' does not exist.")
        if database.lower() != "master" and self.state != "ONLINE":
            raise SqlServerError(945, f"Database '{database}' cannot be opened. It is {self.state}.")
        return ResultSet(database=database)


def _statements(batch: str) -> list[str]:
    """The statements of a batch, cut at semicolons outside quotes; N'...' becomes '...'."""
    pieces = re.findall(r"""(?:N?'(?:[^']|'')*'|"[^"]*"|\[[^\]]*\]|[^;'"\[])+""", batch)
    plain = (re.sub(r"(?<![\w'])N(?='(?:[^']|'')*')", "", piece).strip() for piece in pieces)
    return [piece for piece in plain if piece]


class SqlServerError(Exception):
    """An error that the server answers, with its number."""

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        super().__init__(text)
