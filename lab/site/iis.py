"""An IIS machine's stand-in: a web shop whose health page and orders really ask the site's SQL Server."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import pytds
from aiohttp import web

from lab.site.listening import stop_listening


@dataclass
class Override:
    """The site's answer when a scenario overrides it."""

    status: int
    body: str


class Page(NamedTuple):
    """What the web server answers; ``site`` is its X-Served-By, empty where it does not know the path."""

    status: int
    text: str
    site: str


@dataclass
class Database:
    """Where this machine's SQL Server is, and how to log in."""

    address: str
    port: int
    name: str
    user: str
    password: str


class IisServer:
    """One web server. It may listen on several addresses, each with TLS or without."""

    def __init__(self, site: str, database: Database | None, tls: ssl.SSLContext) -> None:
        self._site = site
        self._database = database
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._listening: dict[tuple[str, int], asyncio.Server] = {}
        self.override: Override | None = None

    async def listen(self, address: str, port: int, tls: bool) -> None:
        if self._runner is None:
            app = web.Application()
            app.router.add_route("*", "/{tail:.*}", self._serve)
            self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
            await self._runner.setup()
        if (address, port) not in self._listening:
            accept = self._runner.server
            assert accept is not None
            loop = asyncio.get_running_loop()
            self._listening[address, port] = await loop.create_server(
                accept, address, port, ssl=self._tls if tls else None
            )

    async def refuse(self, address: str, port: int) -> None:
        """Closes one address; established connections are cut."""
        if server := self._listening.pop((address, port), None):
            await stop_listening(server)

    async def stop(self) -> None:
        for address, port in list(self._listening):
            await self.refuse(address, port)
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.Response:
        page = await self.visit(request.method, request.path, await request.text())
        return web.Response(text=page.text, status=page.status, headers={"X-Served-By": page.site} if page.site else {})

    async def visit(self, method: str, path: str, body: str = "") -> Page:
        """One request: the front page, the health page, or an order."""
        match method, path:
            case "GET", "/":
                return self._answer("Welcome to the Contoso web shop.")
            case "GET", "/health":
                return await self._health()
            case "POST", "/orders":
                return await self._order(body[:80])
            case _:
                return Page(404, "404: Not Found", "")

    def _answer(self, text: str, status: int = 200) -> Page:
        if self.override:
            text, status = self.override.body, self.override.status
        return Page(status, text, self._site)

    async def _health(self) -> Page:
        """Healthy only when SQL answers: a page without a query would prove nothing."""
        if self._database is None:
            return self._answer("healthy")
        try:
            await self._query(self._database, "SELECT COUNT(*) FROM dbo.Orders", ())
        except (pytds.Error, OSError):
            return self._answer("the database does not answer", 503)
        return self._answer("healthy")

    async def _order(self, number: str) -> Page:
        if self._database is None or not number:
            return self._answer("no shop here", 404)
        placed = datetime.now(UTC).isoformat()
        try:
            await self._query(self._database, "INSERT INTO dbo.Orders VALUES (%s, %s)", (number, placed))
        except (pytds.Error, OSError):
            return self._answer("the order could not be placed", 503)
        return self._answer(number)

    async def _query(self, where: Database, statement: str, values: tuple[str, ...]) -> None:
        """Asks the database over its socket, in a thread, since the driver blocks."""
        await asyncio.to_thread(self._ask, where, statement, values)

    @staticmethod
    def _ask(where: Database, statement: str, values: tuple[str, ...]) -> None:
        # The driver tries a refused connection again until its time is up; a web server would fail at once.
        socket.create_connection((where.address, where.port), timeout=2).close()
        with (
            pytds.connect(
                dsn=where.address,
                port=where.port,
                database="master",
                user=where.user,
                password=where.password,
                timeout=2,
                login_timeout=2,
                autocommit=True,
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values)
