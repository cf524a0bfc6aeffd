"""Addresses as users write them, and how they differ from the names of settings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.places import is_host, is_setting, split_place


@pytest.mark.parametrize("value", ["PRIMARY_ADDRESS", "SITE_2", "A_", "WEB01_ADDRESS"])
def test_a_name_in_capitals_with_an_underscore_is_a_setting(value: str) -> None:
    assert is_setting(value)


@pytest.mark.parametrize("value", ["WEB01", "WEB01.CONTOSO.LOCAL", "WEB01:8443", "Primary_Address", "_X", "1_A", ""])
def test_a_host_name_in_capitals_is_a_host_and_no_setting(value: str) -> None:
    assert not is_setting(value)


@pytest.mark.parametrize(
    ("value", "means"),
    [
        ("203.0.113.10", ("203.0.113.10", None)),
        ("203.0.113.10:8443", ("203.0.113.10", 8443)),
        (" WEB01 ", ("WEB01", None)),
        ("WEB01:8443", ("WEB01", 8443)),
        ("web01.contoso.local.", ("web01.contoso.local.", None)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("[2001:DB8::1]:443", ("2001:db8::1", 443)),
        ("host:65535", ("host", 65535)),
    ],
)
def test_an_address_with_an_optional_port_is_taken_apart(value: str, means: tuple[str, int | None]) -> None:
    assert split_place(value) == means


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "127.0.0.1/health",
        "127.0.0.1,127.0.0.2",
        "http://shop.contoso.example",
        "user@host",
        "host:0",
        "host:65536",
        "host:99999",
        "host:-1",
        "host:",
        "host:http",
        ":80",
        "10.20.1.400",
        "10.20.1",
        "1.2.3.4.5",
        "[::1",
        "[10.0.0.1]:80",
        "2001:db8::1:443:zz",
        "web01..contoso.example",
        f"{'a' * 64}.example",
        f"{'a.' * 127}example",
        "-host",
        "ho st",
        "höst",
    ],
)
def test_what_is_no_address_is_none(value: str) -> None:
    assert split_place(value) is None


@given(st.text(max_size=80) | st.text("0123456789.:[]abf-_", max_size=60))
def test_whatever_is_written_is_an_address_or_none_and_can_be_encoded_as_a_name(value: str) -> None:
    place = split_place(value)
    if place is not None:
        host, port = place
        assert host and host == host.strip()
        assert port is None or 1 <= port <= 65535
        if is_host(host):
            host.rstrip(".").encode("idna")
