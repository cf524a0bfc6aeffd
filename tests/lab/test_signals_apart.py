"""Signals are independent: an error in one does not affect the others, and silence is reported as silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.models.evidence import Evidence
from shared.policy.outage import round_view
from tests.lab.peer import free_port
from tests.lab.speakers import (
    ADDRESS,
    SETTINGS,
    accepting_and_silent,
    dropping,
    judged,
    page_signal,
    speaking,
    sql_signal,
)

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nhealthy"
SILENCES = pytest.mark.parametrize("silence", [dropping, accepting_and_silent], ids=["drops packets", "never answers"])
type Silence = Callable[[], AbstractContextManager[int]]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


def ask(at_most: float | None = None, **signals: Any) -> dict[str, Evidence]:
    return asyncio.run(judged(at_most, **signals))


# Silence


@SILENCES
def test_a_site_that_is_silent_is_down_on_every_path_at_the_same_time_out(silence: Silence) -> None:
    """The most common disaster. A round that cancelled its probes first would report "no data", and never ask."""
    with silence() as port:
        found = ask(
            page=page_signal(port, timeout="1s"),
            shop=page_signal(port, host="shop.contoso.example", timeout="1s"),
            vpn=sql_signal(port, timeout="1s"),
        )
    detail = f"{ADDRESS} gave no answer in time"
    assert {(evidence.state, evidence.counts_as, evidence.detail, evidence.spoke) for evidence in found.values()} == {
        ("down", "down", detail, False)
    }
    assert round_view(list(found.values()), 2).says == "down"


@SILENCES
@pytest.mark.parametrize("seconds", [1, 2])
def test_silence_is_given_up_in_the_time_that_the_plan_names(silence: Silence, seconds: int) -> None:
    with silence() as port:
        began = datetime.now(UTC)
        found = ask(page=page_signal(port, timeout=f"{seconds}s"), vpn=sql_signal(port, timeout=f"{seconds}s"))
    assert {evidence.state for evidence in found.values()} == {"down"}
    assert datetime.now(UTC) - began < timedelta(seconds=seconds + 2)


@SILENCES
def test_silence_beside_a_patient_signal_is_down_at_its_own_time_out(silence: Silence) -> None:
    with silence() as port:
        found = ask(page=page_signal(port, timeout="500ms"), vpn=sql_signal(free_port(), timeout="30s"))
    assert {name: evidence.state for name, evidence in found.items()} == {"page": "down", "vpn": "down"}
    assert found["vpn"].detail == f"{ADDRESS} refused the connection"


def test_a_look_that_is_cut_short_says_no_data_for_what_was_not_heard() -> None:
    with accepting_and_silent() as port:
        found = ask(0.3, page=page_signal(port, timeout="5s"), vpn=sql_signal(free_port()))
    assert (found["page"].state, found["page"].detail) == ("no_data", "no answer in time")
    assert found["vpn"].state == "down"


# Whatever one signal raises


BROKEN: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "a login setting without a colon": (sql_signal(1, credential="ODD_LOGIN"), {"ODD_LOGIN": "no-colon"}),
    "an authority's file that is missing": (
        sql_signal(1, certificate_authority="SQL_CA"),
        {"SQL_CA": "/nowhere/ca.pem"},
    ),
    "an address that is none": (page_signal(1, connect_to="ODD_ADDRESS"), {"ODD_ADDRESS": "127.0.0.1/health"}),
    "a name with an empty label": (page_signal(1, connect_to="ODD_ADDRESS"), {"ODD_ADDRESS": "web01..contoso.example"}),
    "a name with a label of 64 letters": (
        page_signal(1, connect_to="ODD_ADDRESS"),
        {"ODD_ADDRESS": "x" * 64 + ".example"},
    ),
    "a setting that is missing": (page_signal(1, connect_to="NO_SUCH_ADDRESS"), {}),
    "a workspace that is not named": ({"path": "agent", "logs": {"query": "heartbeat.kql", "stale_after": "5m"}}, {}),
}


@pytest.mark.parametrize(("signal", "environment"), BROKEN.values(), ids=BROKEN)
def test_a_signal_that_cannot_be_asked_leaves_the_evidence_of_the_others(
    monkeypatch: pytest.MonkeyPatch, signal: dict[str, Any], environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def round_() -> dict[str, Evidence]:
        async with speaking(PAGE) as port:
            if "sql" in signal:
                signal["sql"]["port"] = port
            return await judged(broken=signal, good=page_signal(port), gone=sql_signal(free_port()))

    found = asyncio.run(round_())
    assert {name: evidence.state for name, evidence in found.items() if name != "broken"} == {
        "good": "up",
        "gone": "down",
    }
    assert found["broken"].state == "no_data"
    assert found["broken"].detail


def test_a_long_trouble_is_told_in_one_line_of_bounded_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD_ADDRESS", "x\ny " * 1000)
    detail = ask(page=page_signal(1, connect_to="ODD_ADDRESS"))["page"].detail
    assert len(detail) <= 300
    assert "\n" not in detail


# The weight of a path


@pytest.mark.parametrize("declared", ["down", "ignored"])
def test_a_site_that_spoke_never_counts_as_down_whatever_the_plan_makes_of_no_data(
    monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    """``no_data: down`` is for an agent that fell silent, not for a server that refuses the probe."""

    async def round_() -> dict[str, Evidence]:
        async with speaking(b"SSH-2.0-OpenSSH_9.6\r\n", greets=True) as port:
            return await judged(vpn=sql_signal(port) | {"no_data": declared}, page=page_signal(free_port()))

    found = asyncio.run(round_())
    assert (found["vpn"].counts_as, found["vpn"].spoke) == ("no_data", True)
    seen = round_view(list(found.values()), 1)
    assert (seen.down_paths, seen.veto) == (["public"], ["vpn"])
