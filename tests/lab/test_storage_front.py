"""The proxy in front of the history's storage: it forwards every request, and can drop the answer to a write."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
import trustme
from aiohttp import web

from lab.storage_front import StorageFront
from tests.waiting import LIMIT

type Ask = Callable[..., Awaitable[tuple[int, str]]]


class Table:
    """A stand-in for Azurite: it stores new rows and refuses existing ones. ``gone``: the caller has died."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.heard: list[str] = []
        self.asked: list[tuple[str, str | None]] = []
        self.gone = False

    async def serve(self, request: web.Request) -> web.Response:
        self.asked.append((request.raw_path, request.headers.get("Authorization")))
        if request.method == "GET":
            return web.json_response(self.rows, headers={"x-ms-version": "2019-02-02"})
        row = await request.text()
        if row in self.rows:
            return web.Response(status=409, text="EntityAlreadyExists")
        self.rows.append(row)
        return web.Response(status=204)

    async def after_write(self, table: str) -> bool:
        self.heard.append(table)
        return self.gone


@asynccontextmanager
async def behind_a_front(table: Table) -> AsyncIterator[Ask]:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", table.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server).start()
    front = StorageFront(f"https://127.0.0.1:{runner.addresses[0][1]}", server, client, table.after_write)
    endpoint = await front.start("account")
    timeout = aiohttp.ClientTimeout(total=LIMIT)
    async with aiohttp.ClientSession(timeout=timeout, headers={"Authorization": "Bearer token"}) as session:

        async def ask(method: str, path: str, body: str = "") -> tuple[int, str]:
            async with session.request(method, f"{endpoint}/{path}", data=body, ssl=client) as response:
                return response.status, await response.text()

        try:
            yield ask
        finally:
            await runner.cleanup()
            await front.stop()


def test_reads_and_writes_are_passed_on_with_their_answers() -> None:
    async def story() -> None:
        table = Table()
        async with behind_a_front(table) as ask:
            assert await ask("POST", "ColdsiteRuns", "one") == (204, "")
            assert await ask("POST", "ColdsiteRuns", "one") == (409, "EntityAlreadyExists")
            assert await ask("GET", "ColdsiteRuns()?$filter=a%20eq%20'b'") == (200, '["one"]')
        assert table.asked[-1] == ("/account/ColdsiteRuns()?$filter=a%20eq%20'b'", "Bearer token")

    asyncio.run(story())


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "ColdsiteAlerts", ["ColdsiteAlerts"]),
        ("PUT", "ColdsiteRuns(PartitionKey='contoso',RowKey='1')", ["ColdsiteRuns"]),
        ("PATCH", "ColdsiteSteps(PartitionKey='a(b)',RowKey='1')", ["ColdsiteSteps"]),
        ("DELETE", "ColdsiteState(PartitionKey='a',RowKey='b')", ["ColdsiteState"]),
        ("POST", "$batch", ["$batch"]),
        ("GET", "ColdsiteRuns()", []),
    ],
)
def test_a_write_that_was_applied_is_heard_with_its_table(method: str, path: str, expected: list[str]) -> None:
    async def story() -> None:
        table = Table()
        async with behind_a_front(table) as ask:
            await ask(method, path, "row")
        assert table.heard == expected

    asyncio.run(story())


def test_a_write_that_was_refused_is_not_heard() -> None:
    async def story() -> None:
        table = Table()
        async with behind_a_front(table) as ask:
            await ask("POST", "ColdsiteRuns", "row")
            assert (await ask("POST", "ColdsiteRuns", "row"))[0] == 409
        assert table.heard == ["ColdsiteRuns"]

    asyncio.run(story())


def test_a_caller_who_has_died_gets_no_answer_and_the_write_stays() -> None:
    async def story() -> None:
        table = Table()
        table.gone = True
        async with behind_a_front(table) as ask:
            with pytest.raises(aiohttp.ClientConnectionError):
                await ask("POST", "ColdsiteRuns", "row")
            table.gone = False
            assert await ask("GET", "ColdsiteRuns()") == (200, '["row"]')

    asyncio.run(story())


def test_storage_that_is_away_breaks_off() -> None:
    async def story() -> None:
        authority = trustme.CA()
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.issue_cert("127.0.0.1").configure_cert(server)
        authority.configure_trust(client)
        front = StorageFront("https://127.0.0.1:9", server, client, Table().after_write)
        endpoint = await front.start("account")
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT)) as session:
                with pytest.raises(aiohttp.ClientConnectionError):
                    await session.get(f"{endpoint}/ColdsiteRuns()", ssl=client)
        finally:
            await front.stop()

    asyncio.run(story())
