"""Servers that send a few bytes, or nothing, at a real socket, and the evidence that the app gets from them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

from shared.models.evidence import Evidence
from shared.models.orders import Sources
from shared.models.plan import RecoveryPlan
from shared.probes.evidence import gather
from tests.plans import contoso_with

ADDRESS = "127.88.0.2"
SETTINGS = {"RECOVERY_PUBLIC_ADDRESS": "127.88.0.77", "SQL_PROBE": "probe:secret"}
"""Settings that every plan of these tests names."""


@contextlib.asynccontextmanager
async def speaking(
    answer: bytes,
    tls: ssl.SSLContext | None = None,
    *,
    address: str = ADDRESS,
    greets: bool = False,
    stays: bool = False,
    after: bytes = b"",
) -> AsyncIterator[int]:
    """A server that sends ``answer`` to whatever it is asked, and closes unless it ``stays``; its port. One that
    ``greets`` speaks first, as SSH and mail servers do; with ``after`` it waits until these bytes have come.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            if greets or await (reader.readuntil(after) if after else reader.read(65536)):
                writer.write(answer)
                await writer.drain()
            while (greets or stays) and await reader.read(65536):
                pass
        writer.close()

    server = await asyncio.start_server(serve, address, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.contextmanager
def accepting_and_silent(address: str = ADDRESS) -> Iterator[int]:
    """A port that accepts connections and never sends a byte."""
    with socket.create_server((address, 0), backlog=50) as silent:
        yield int(silent.getsockname()[1])


@contextlib.contextmanager
def dropping(address: str = ADDRESS) -> Iterator[int]:
    """A port that answers no packet: its queue of connections is full and never emptied, so a handshake gets no reply."""
    with contextlib.ExitStack() as held:
        full = held.enter_context(socket.create_server((address, 0), backlog=0))
        port = int(full.getsockname()[1])
        for _ in range(16):
            waiting = held.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect((address, port))
            except TimeoutError:
                yield port
                return
        raise AssertionError("The queue of connections never filled.")


def plan_with(**signals: Any) -> RecoveryPlan:
    """A plan with only these signals, whose recovery site is elsewhere."""
    return contoso_with(
        {
            "detection.mode": "approve",
            "detection.quorum": 1,
            "detection.signals": signals,
            "traffic.verify": [{"http": {"connect_to": "RECOVERY_PUBLIC_ADDRESS", "path": "/health"}}],
        }
    )


async def judged(at_most: float | None = None, **signals: Any) -> dict[str, Evidence]:
    """One round of evidence, by signal."""
    order = Sources.of(plan_with(**signals))
    return {evidence.signal: evidence for evidence in (await gather(order, at_most)).evidence}


def page_signal(port: int, /, path: str = "public", **http: Any) -> dict[str, Any]:
    return {"path": path, "http": {"connect_to": f"{ADDRESS}:{port}", "timeout": "3s"} | http}


def sql_signal(port: int, /, path: str = "private", **sql: Any) -> dict[str, Any]:
    named = {"server": ADDRESS, "port": port, "database": "Orders", "credential": "SQL_PROBE", "timeout": "3s"}
    return {"path": path, "sql": named | sql}
