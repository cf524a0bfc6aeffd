"""Names, looked up at real DNS servers that answer, are silent or gone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from lab.cloud.dns_server import DnsServer
from shared.probes import dns
from tests.lab.peer import free_port

HOST = "shop.contoso.example"
IN_TIME = timedelta(seconds=3)
ADDRESSES = {
    "contoso.trafficmanager.net": ["127.1.0.10"],
    "two.example": ["127.1.0.2", "127.1.0.1"],
    "none.example": [],
}


def ask_dns[T](monkeypatch: pytest.MonkeyPatch, question: Callable[[], Awaitable[T]]) -> T:
    async def both() -> T:
        server = DnsServer(ADDRESSES.get, lambda: 1, {HOST: "contoso.trafficmanager.net"})
        await server.start()
        monkeypatch.setenv("COLDSITE_DNS_SERVER", f"127.0.0.1:{server.port}")
        try:
            return await question()
        finally:
            server.stop()

    return asyncio.run(both())


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("contoso.trafficmanager.net", ["127.1.0.10"]),
        (HOST, ["127.1.0.10"]),
        (HOST.upper(), ["127.1.0.10"]),
        ("two.example", ["127.1.0.1", "127.1.0.2"]),
        ("none.example", []),
        ("nowhere.example", []),
        ("", []),
        ("x" * 64 + ".example", []),
        ("a..b", []),
    ],
)
def test_a_name_leads_where_dns_says(monkeypatch: pytest.MonkeyPatch, name: str, found: list[str]) -> None:
    assert ask_dns(monkeypatch, lambda: dns.resolve(name)) == found


@pytest.mark.parametrize(
    ("hostname", "target", "same"),
    [
        (HOST, "contoso.trafficmanager.net", True),
        (HOST, "127.1.0.10", True),
        (HOST, "127.1.0.1", False),
        ("two.example", "127.1.0.1", False),
        ("nowhere.example", "none.example", False),
        ("nowhere.example", "127.1.0.1", False),
        (HOST, "nowhere.example", False),
    ],
)
def test_two_names_are_the_same_place_when_every_address_is(
    monkeypatch: pytest.MonkeyPatch, hostname: str, target: str, same: bool
) -> None:
    assert ask_dns(monkeypatch, lambda: dns.same_place(hostname, target)) is same


def test_a_dns_server_that_says_nothing_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        monkeypatch.setenv("COLDSITE_DNS_SERVER", f"127.0.0.1:{silent.getsockname()[1]}")
        began = datetime.now(UTC)
        assert asyncio.run(dns.resolve(HOST, timeout=0.5)) == []
        assert datetime.now(UTC) - began < IN_TIME


def test_a_dns_server_that_is_gone_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLDSITE_DNS_SERVER", f"127.0.0.1:{free_port()}")
    assert asyncio.run(dns.resolve(HOST, timeout=0.5)) == []
