"""The lab's servers without sockets: an address book says who listens where, and callers ask the server itself."""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp
import pytds

from lab.cloud.traffic_manager import TrafficManager
from lab.site.customers import Customers
from lab.site.iis import Database, IisServer, Page
from lab.site.sql_server import Session, SqlServer, SqlServerError
from lab.site.world import OBSERVER, Observer, Sites
from shared.models.probes import HttpProbe, SqlProbe
from shared.probes import http as http_probe
from shared.probes import sql as sql_probe
from shared.probes.answer import ProbeAnswer

type Server = SqlServer | IisServer | None
Place = tuple[str, int]


class AddressBook:
    """Who listens where. None stands for the observer's page."""

    def __init__(self) -> None:
        self.servers: dict[Place, Server] = {}

    def listens(self, address: str, port: int) -> bool:
        return (address, port) in self.servers

    async def visit(self, address: str, port: int, method: str, path: str, body: str = "") -> Page:
        """Asks a web server. Raises ``ConnectionRefusedError`` where none listens."""
        if not self.listens(address, port):
            raise ConnectionRefusedError(f"{address}:{port} refuses the connection")
        server = self.servers[address, port]
        return await server.visit(method, path, body) if isinstance(server, IisServer) else Page(200, "here", "")

    def sql_server(self, address: str, port: int) -> SqlServer:
        server = self.servers.get((address, port))
        if not isinstance(server, SqlServer):
            raise ConnectionRefusedError(f"{address}:{port} refuses the connection")
        return server


class QuietSqlServer(SqlServer):
    """Stands in the address book instead of listening."""

    def __init__(self, book: AddressBook, name: str, database: str, user: str, password: str) -> None:
        super().__init__(name, database, user, password, None)
        self._book = book
        self._places: dict[str, Place] = {}

    async def listen(self, address: str, port: int) -> None:
        self._places[address] = (address, port)
        self._book.servers[address, port] = self

    async def refuse(self, address: str) -> None:
        if place := self._places.pop(address, None):
            del self._book.servers[place]

    async def stop(self) -> None:
        for address in list(self._places):
            await self.refuse(address)
        await super().stop()


class QuietIisServer(IisServer):
    """Stands in the address book instead of listening, and asks its database there."""

    def __init__(self, book: AddressBook, site: str, database: Database | None, tls: ssl.SSLContext) -> None:
        super().__init__(site, database, tls)
        self._book = book
        self._places: set[Place] = set()

    async def listen(self, address: str, port: int, tls: bool) -> None:
        self._places.add((address, port))
        self._book.servers[address, port] = self

    async def refuse(self, address: str, port: int) -> None:
        if (address, port) in self._places:
            self._places.remove((address, port))
            del self._book.servers[address, port]

    async def stop(self) -> None:
        for place in list(self._places):
            await self.refuse(*place)

    async def _query(self, where: Database, statement: str, values: tuple[str, ...]) -> None:
        cursor = Cursor(self._book.sql_server(where.address, where.port), where.user, where.password, is_probe=False)
        cursor.execute(statement, values)


class QuietObserver(Observer):
    def __init__(self, book: AddressBook, port: int) -> None:
        super().__init__(port)
        self._place = (OBSERVER, port)
        self._book = book

    async def start(self) -> None:
        await self.listen()

    async def listen(self) -> None:
        self._book.servers[self._place] = None

    async def refuse(self) -> None:
        self._book.servers.pop(self._place, None)


class QuietSites(Sites):
    """Both sites, with every server in the address book."""

    def __init__(self, book: AddressBook, *arguments: Any) -> None:
        self._book = book
        super().__init__(*arguments)

    def _make_observer(self) -> Observer:
        return QuietObserver(self._book, self._ports.http)

    def _make_sql_server(self, name: str, database: str) -> SqlServer:
        return QuietSqlServer(self._book, name, database, "coldsite_probe", "lab-only-Pa55")

    def _make_iis_server(self, site: str, database: Database | None) -> IisServer:
        return QuietIisServer(self._book, site, database, self._tls)


class QuietCustomers(Customers):
    def __init__(self, book: AddressBook, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._book = book

    async def _ask(self, session: aiohttp.ClientSession, address: str, number: str | None) -> Page:
        method, path = ("POST", "/orders") if number else ("GET", "/")
        return await self._book.visit(address, self._port, method, path, number or "")


class QuietTrafficManager(TrafficManager):
    def __init__(self, book: AddressBook, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._book = book

    async def _ask(self, session: aiohttp.ClientSession, context: ssl.SSLContext, target: str) -> int:
        return (await self._book.visit(target, self._port, "GET", self.config.path)).status


class Cursor:
    """A database cursor as the driver's, on a server in the address book. Raises the driver's own errors."""

    def __init__(self, server: SqlServer, user: str, password: str, *, is_probe: bool, patience: float = 2.0) -> None:
        if refusals := server.login_refusals(user, password, "master", is_probe=is_probe):
            raise _error(pytds.LoginError, refusals[-1].number, refusals[-1].text)
        self._server = server
        self._patience = patience
        self._session = Session(is_probe=is_probe)
        self._rows: list[Any] = []

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        if self._session.is_probe and "MAX(" in statement.upper() and self._server.odd.query_seconds > self._patience:
            raise TimeoutError
        try:
            self._rows = list(self._server.execute(self._session, statement.replace("%s", "?"), values).rows)
        except SqlServerError as error:
            raise _error(pytds.OperationalError, error.number, str(error)) from error

    def fetchall(self) -> list[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None


def _error(kind: type[Exception], number: int, text: str) -> Exception:
    error: Any = kind(text)
    error.text, error.msg_no, error.number = text, number, number
    return error


def asks_pages(book: AddressBook) -> Any:
    """What takes the place of the HTTP probe's own request."""

    async def ask(probe: HttpProbe, address: str, port: int, tls: ssl.SSLContext | None) -> ProbeAnswer:
        try:
            page = await book.visit(address, port, "GET", probe.path)
        except ConnectionRefusedError:
            return ProbeAnswer(healthy=False, detail=f"{address} refused the connection")
        return http_probe._judge(probe, address, page.status, page.text.encode(), "utf-8")

    return ask


def asks_databases(book: AddressBook) -> Any:
    """What takes the place of the SQL probe's own connection."""

    def ask(
        probe: SqlProbe, address: str, user: str, password: str, authority: str | None, seconds: float
    ) -> ProbeAnswer:
        try:
            server = book.sql_server(address, probe.port)
            cursor = Cursor(server, user, password, is_probe=True, patience=seconds)
        except Exception as error:  # noqa: BLE001 (as the probe itself does)
            return sql_probe._without_connection(error, address)
        try:
            return sql_probe._look(probe, address, cursor)
        except pytds.DatabaseError as error:
            number = sql_probe._number(error)
            return sql_probe._refused(f"{address}: {sql_probe._words(error)}", number=number)

    return ask
