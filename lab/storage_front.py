"""A proxy in front of Azurite that sees every write, so that a worker can die between a write and its answer."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

_HOP_BY_HOP = {"host", "connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}
_READS = {"GET", "HEAD", "OPTIONS"}


class StorageFront:
    """Forwards everything. ``after_write`` gets the table of every write that was applied; when it returns that the
    caller is gone, no answer is sent.
    """

    def __init__(
        self,
        behind: str,
        server_tls: ssl.SSLContext,
        client_tls: ssl.SSLContext,
        after_write: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._behind = behind
        self._server_tls = server_tls
        self._client_tls = client_tls
        self._after_write = after_write

    async def start(self, account: str) -> str:
        """Listens, and returns the table endpoint to give to the app."""
        # A hanging call must not be awaited, since the caller has long given up, nor occupy a slot.
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=10),
            connector=aiohttp.TCPConnector(limit=0),
        )
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._server_tls).start()
        return f"https://127.0.0.1:{self._runner.addresses[0][1]}/{account}"

    async def stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = self._behind + request.raw_path
        try:
            async with self._session.request(
                request.method, url, data=await request.read(), headers=headers, ssl=self._client_tls
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, OSError):
            return self._broken_off(request)
        applied = request.method not in _READS and response.status < 400
        if applied and await self._after_write(_table_of(request)):
            return self._broken_off(request)
        kept = {name: value for name, value in response.headers.items() if name.lower() not in _HOP_BY_HOP}
        return web.Response(status=response.status, body=body, headers=kept)

    @staticmethod
    def _broken_off(request: web.Request) -> web.Response:
        if request.transport:
            request.transport.abort()
        return web.Response(status=500)


def _table_of(request: web.Request) -> str:
    """``/account/ColdsiteRuns(PartitionKey=...)`` is about ColdsiteRuns; a transaction names none."""
    return request.path.split("/")[-1].partition("(")[0]
