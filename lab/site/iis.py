"""An IIS machine's stand-in: a web shop whose health page and orders really ask the site's SQL Server."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

import pytds
from aiohttp import web

from lab.site.listening import stop_listening


@dataclass
class Override:
    """The site's answer when a scenario overrides it."""

    status: int
    body: str


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
            app.router.add_get("/", self._page)
            app.router.add_get("/health", self._health)
            app.router.add_post("/orders", self._order)
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

    def _answer(self, body: str, status: int = 200) -> web.Response:
        if self.override:
            body, status = self.override.body, self.override.status
        return web.Response(text=body, status=status, headers={"X-Served-By": self._site})

    async def _page(self, request: web.Request) -> web.Response:
        return self._answer("Welcome to the Contoso web shop.")

    async def _health(self, request: web.Request) -> web.Response:
        """Healthy only when SQL answers: a page without a query would prove nothing."""
        if self._database is None:
            return self._answer("healthy")
        try:
            await asyncio.to_thread(self._query, "SELECT COUNT(*) FROM dbo.Orders", ())
        except (pytds.Error, OSError):
            return self._answer("the database does not answer", 503)
        return self._answer("healthy")

    async def _order(self, request: web.Request) -> web.Response:
        number = (await request.text())[:80]
        if self._database is None or not number:
            return self._answer("no shop here", 404)
        placed = datetime.now(UTC).isoformat()
        try:
            await asyncio.to_thread(self._query, "INSERT INTO dbo.Orders VALUES (%s, %s)", (number, placed))
        except (pytds.Error, OSError):
            return self._answer("the order could not be placed", 503)
        return self._answer(number)

    def _query(self, statement: str, values: tuple[str, ...]) -> None:
        assert self._database is not None
        where = self._database
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
