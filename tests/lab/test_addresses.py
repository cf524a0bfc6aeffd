"""Addresses as users write them in settings and plans: an invalid address is a configuration error, never an outage."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.models.errors import PlanError
from shared.models.evidence import Evidence
from tests.lab.speakers import ADDRESS, SETTINGS, judged, page_signal, plan_with, speaking

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nhealthy"
NO_ADDRESSES = [
    "127.0.0.1/health",
    "127.0.0.1,127.0.0.2",
    "127.0.0.1:99999",
    "127.0.0.1:70000",
    "127.0.0.1:-1",
    "127.0.0.1:0",
    "127.0.0.1:",
    "127.0.0.1:http",
    ":99999",
    "-1",
    "10.20.1.400",
    "http://127.0.0.1",
    "https://shop.contoso.example/health",
    "[::1",
    "[127.0.0.1]",
    "[::1]:99999",
    "web01..contoso.example",
    "x" * 64 + ".contoso.example",
    "two words",
    "user@host",
    "münchen.example\x00",
]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


def ask(signal: dict[str, Any]) -> Evidence:
    return asyncio.run(judged(public=signal))["public"]


def served(connect_to: str, address: str = ADDRESS, **http: Any) -> Evidence:
    """Requests an existing page; ``PORT`` in an address is its port."""

    async def both() -> Evidence:
        async with speaking(PAGE, address=address) as port:
            signal = page_signal(port, **{"connect_to": connect_to.replace("PORT", str(port)), "port": port} | http)
            return (await judged(public=signal))["public"]

    return asyncio.run(both())


@pytest.mark.parametrize("value", [v for v in NO_ADDRESSES if "\x00" not in v])
def test_a_setting_that_holds_no_address_is_no_data_and_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SITE_ADDRESS", value)
    found = ask(page_signal(1, connect_to="SITE_ADDRESS"))
    assert (found.state, found.counts_as, found.spoke) == ("no_data", "no_data", False)
    assert found.detail.startswith("The app setting SITE_ADDRESS does not contain an address")


@pytest.mark.parametrize("value", NO_ADDRESSES)
def test_what_is_no_address_is_refused_where_a_plan_writes_it(value: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan_with(public=page_signal(1, connect_to=value))
    assert "connect_to" in str(caught.value)


@pytest.mark.parametrize("value", [f"{ADDRESS}:PORT", ADDRESS])
@pytest.mark.parametrize("by_setting", [True, False], ids=["setting", "plan"])
def test_an_address_with_or_without_a_port_is_asked(
    monkeypatch: pytest.MonkeyPatch, value: str, by_setting: bool
) -> None:
    if not by_setting:
        assert served(value).state == "up"
        return

    async def both() -> Evidence:
        async with speaking(PAGE) as port:
            monkeypatch.setenv("PRIMARY_ADDRESS", value.replace("PORT", str(port)))
            return (await judged(public=page_signal(port, connect_to="PRIMARY_ADDRESS", port=port)))["public"]

    assert asyncio.run(both()).state == "up"


@pytest.mark.parametrize("value", ["[::1]:PORT", "[::1]", "::1", "[0:0:0:0:0:0:0:1]:PORT"])
def test_an_ipv6_address_is_asked(value: str) -> None:
    assert served(value, "::1").state == "up"


@pytest.mark.parametrize("value", ["localhost:PORT", "localhost", "LOCALHOST", "LOCALHOST:PORT"])
def test_a_host_name_is_asked_in_any_letters(value: str) -> None:
    assert served(value, "127.0.0.1").state == "up"


@pytest.mark.parametrize("value", ["WEB01", "WEB01.CONTOSO.INVALID", "WEB01:8443", "web01.contoso.invalid"])
def test_a_host_in_capitals_is_a_host_and_not_a_setting(value: str) -> None:
    """The name does not resolve here, and the evidence says so."""
    found = ask(page_signal(1, connect_to=value))
    assert (found.state, found.spoke) == ("no_data", False)
    assert found.detail == f"{value.partition(':')[0]} is a name that does not resolve"
    assert "setting" not in found.detail


def test_a_name_in_capitals_with_an_underscore_is_a_setting() -> None:
    found = ask(page_signal(1, connect_to="PRIMARY_ADDRESS"))
    assert found.state == "no_data"
    assert "PRIMARY_ADDRESS" in found.detail
    assert "setting" in found.detail


def test_a_name_in_capitals_is_a_setting_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def both() -> Evidence:
        async with speaking(PAGE) as port:
            monkeypatch.setenv("PRIMARY", f"{ADDRESS}:{port}")
            return (await judged(public=page_signal(port, connect_to="PRIMARY")))["public"]

    assert asyncio.run(both()).state == "up"


def test_the_settings_that_a_plan_names_are_listed_and_its_hosts_are_not() -> None:
    plan = plan_with(public=page_signal(1, connect_to="PRIMARY_ADDRESS"), inside=page_signal(1, connect_to="WEB01"))
    assert "PRIMARY_ADDRESS" in plan.settings
    assert "WEB01" not in plan.settings


@pytest.mark.parametrize("server", ["web01.contoso.invalid", "WEB01"])
def test_a_sql_servers_name_that_leads_nowhere_is_no_data(server: str) -> None:
    signal = {"path": "private", "sql": {"server": server, "database": "Orders", "credential": "SQL_PROBE"}}
    found = ask(signal)
    assert (found.state, found.spoke) == ("no_data", False)
    assert found.detail == f"{server} is a name that does not resolve"
