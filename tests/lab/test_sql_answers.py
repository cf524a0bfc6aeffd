"""SQL Servers that are up with unusual answers: the probe's result, as evidence and on a recovered machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.site import tds
from lab.site.sql_server import LOGIN_REFUSALS, Oddity, ShopOrder, SqlServer
from shared.models.evidence import Evidence
from shared.models.probes import SqlProbe
from shared.probes.answer import ProbeAnswer
from shared.probes.sql import probe_sql
from tests.lab.peer import free_port
from tests.lab.speakers import ADDRESS, SETTINGS, judged, speaking, sql_signal
from tests.loops import LoopThread, collect_quietly

NEWEST = datetime.now(UTC).replace(microsecond=0)
MEASURE = "SELECT MAX(PlacedAtUtc) FROM dbo.Orders"
PASSING = {18401, 17187, 17142, 17809}
"""Refusals of a server that is starting, paused or full."""


class Server:
    """One SQL Server on a loop of its own, since the probe blocks a thread."""

    def __init__(self) -> None:
        self.port = free_port()
        self._loop = LoopThread()
        self._server = self._loop.call(lambda: SqlServer("SQL01", "Orders", "probe", "secret", None))
        self._loop.run(self._server.listen(ADDRESS, self.port))

        self._loop.call(lambda: self._server.load([ShopOrder("1", NEWEST.isoformat())]))

    def reset(self) -> None:
        self.set(odd=Oddity(), state="ONLINE")

    def set(self, **what: Any) -> None:
        for name, value in what.items():
            self._loop.call(lambda name=name, value=value: setattr(self._server, name, value))

    def close(self) -> None:
        self._loop.run(self._server.stop())
        self._loop.close()
        del self._server, self._loop
        collect_quietly()


@pytest.fixture(scope="module")
def one_server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def server(one_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    one_server.reset()
    return one_server


def ask(server: Server, **more: Any) -> tuple[Evidence, ProbeAnswer]:
    """The evidence, and the result of a workload's probe."""
    signal = sql_signal(server.port, **more)
    found = asyncio.run(judged(vpn=signal))["vpn"]
    return found, asyncio.run(probe_sql(SqlProbe.model_validate(signal["sql"])))


# Errors of Coldsite's own login say nothing about the site


@pytest.mark.parametrize("number", sorted(LOGIN_REFUSALS))
def test_a_refused_login_is_no_data_of_a_server_that_lives(server: Server, number: int) -> None:
    server.set(odd=Oddity(login_number=number))
    found, answer = ask(server, timeout="1s")
    assert (found.state, found.counts_as, found.spoke) == ("no_data", "no_data", True)
    assert (answer.healthy, answer.answered, answer.untrusted) == (False, True, True)
    assert answer.hopeless is (number not in PASSING)
    assert found.detail.endswith(f"(error {number})")
    assert "refused the login" in found.detail
    assert "('" not in found.detail, "no Python in what people read"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (916, 'The server principal "probe" is not able to access the database "Orders".'),
        (976, "The target database, 'Orders', is participating in an availability group."),
        (924, "Database 'Orders' is already open and can only have one user at a time."),
    ],
)
def test_a_database_that_does_not_let_us_in_is_no_data_and_a_person_is_needed(
    server: Server, number: int, text: str
) -> None:
    server.set(odd=Oddity(use_number=number, use_text=text))
    found, answer = ask(server)
    assert (found.state, found.spoke) == ("no_data", True)
    assert (answer.healthy, answer.untrusted, answer.hopeless) == (False, True, True)
    assert found.detail == f"{ADDRESS}: {text} (error {number})"


def test_a_database_that_the_login_does_not_see_is_no_data(server: Server) -> None:
    found, answer = ask(server, database="Ordersx")
    assert (found.state, found.spoke, answer.hopeless) == ("no_data", True, True)
    assert "is not visible to the probe's login" in found.detail


@pytest.mark.parametrize("name", ["ORDERS", "orders", "oRDERS"])
def test_a_databases_name_is_compared_without_case(server: Server, name: str) -> None:
    found, answer = ask(server, database=name)
    assert (found.state, answer.healthy) == ("up", True)
    assert found.detail == f"{ADDRESS}: database Orders is ONLINE"


# States


@pytest.mark.parametrize(
    ("state", "lasting"),
    [
        ("RECOVERING", False),
        ("COPYING", False),
        ("RESTORING", True),
        ("RECOVERY_PENDING", True),
        ("SUSPECT", True),
        ("EMERGENCY", True),
        ("OFFLINE", True),
        ("OFFLINE_SECONDARY", True),
    ],
)
def test_a_database_that_does_not_serve_is_down_and_says_whether_waiting_helps(
    server: Server, state: str, lasting: bool
) -> None:
    server.set(state=state)
    found, answer = ask(server)
    assert (found.state, found.detail) == ("down", f"{ADDRESS}: database Orders is {state}")
    assert (answer.healthy, answer.answered, answer.untrusted, answer.hopeless) == (False, True, False, lasting)


# The measurement never decides health


def assert_unmeasured(server: Server, *words: str, query: str = MEASURE, **more: Any) -> None:
    found, answer = ask(server, recovery_point_query=query, **more)
    assert found.state == "up"
    assert (answer.healthy, answer.newest_commit, answer.hopeless) == (True, None, False)
    assert answer.unmeasured
    for word in words:
        assert word in answer.unmeasured
    assert "('" not in answer.unmeasured, "no Python in what people read"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (229, "The SELECT permission was denied on the object 'Orders'."),
        (208, "Invalid object name 'dbo.Orders'."),
        (1205, "Transaction was deadlocked on lock resources."),
    ],
)
def test_a_measure_that_is_refused_leaves_the_database_healthy(server: Server, number: int, text: str) -> None:
    server.set(odd=Oddity(query_number=number, query_text=text))
    assert_unmeasured(server, text, f"(error {number})")


def test_a_measure_that_is_slow_leaves_the_database_healthy_and_is_given_up(server: Server) -> None:
    server.set(odd=Oddity(query_seconds=30))
    began = datetime.now(UTC)
    assert_unmeasured(server, "took longer than the probe's time-out", timeout="1s")
    assert datetime.now(UTC) - began < timedelta(seconds=6)


@pytest.mark.parametrize("words", ["Jan 15 2026  8:00PM", "15.01.2026 20:00:00", "1799956800", "soon", ""])
def test_a_measure_that_is_no_time_leaves_the_database_healthy(server: Server, words: str) -> None:
    assert_unmeasured(server, " ".join(repr(words).split()), "is not a time", query=f"SELECT '{words}'")


def test_a_measure_that_is_a_number_leaves_the_database_healthy(server: Server) -> None:
    found, answer = ask(server, recovery_point_query="SELECT 1799956800")
    assert (found.state, answer.healthy, answer.newest_commit) == ("up", True, None)
    assert answer.unmeasured == "recovery_point_query: it returned 1799956800, which is not a time"


@pytest.mark.parametrize("hours", [1, 9])
def test_a_measure_in_local_time_ahead_of_utc_is_refused_with_words(server: Server, hours: int) -> None:
    """A commit time in the future would report an hour of lost orders as a loss of zero."""
    server.set(odd=Oddity(hours=hours))
    assert_unmeasured(server, "in the future", "it must return UTC")


def test_an_empty_table_has_no_measure_and_nothing_is_wrong(server: Server) -> None:
    found, answer = ask(server, recovery_point_query=f"{MEASURE} WHERE Number = 'none'")
    assert (found.state, answer.newest_commit, answer.unmeasured) == ("up", None, None)


def test_a_measure_that_answers_is_the_newest_commit(server: Server) -> None:
    answer = ask(server, recovery_point_query=MEASURE)[1]
    assert (answer.newest_commit, answer.unmeasured) == (NEWEST, None)


# Something else on SQL Server's port


def greeting(encryption: int) -> bytes:
    """What a SQL Server answers to a client's first packet; ``encryption``: 1 on, 3 required."""
    options = [(0, b"\x0d\x00\x06\x41\x00\x00"), (1, bytes([encryption])), (2, b"\0"), (4, b"\0")]
    offset, head, data = 5 * len(options) + 1, b"", b""
    for token, value in options:
        head += bytes([token]) + (offset + len(data)).to_bytes(2) + len(value).to_bytes(2)
        data += value
    body = head + b"\xff" + data
    return bytes([tds.REPLY, 1]) + (len(body) + 8).to_bytes(2) + b"\0\0\1\0" + body


STRANGERS = {
    "a web server": (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", False),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n", True),
    "a mail server": (b"220 mail.contoso.example ESMTP\r\n", True),
    "encryption on": (greeting(1), False),
    "encryption required": (greeting(3), False),
}
CLOSED = {
    "closes at once, as strict encryption does": b"",
    "noise": bytes(range(256)),
    "zeros": b"\0" * 64,
    "a refusal of TLS": b"\x15\x03\x03\x00\x02\x02\x28",
}


@pytest.mark.parametrize(("answer", "greets"), STRANGERS.values(), ids=STRANGERS)
def test_what_is_no_sql_server_of_ours_is_no_data_and_never_an_error(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, greets: bool
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)

    async def both() -> tuple[Evidence, ProbeAnswer]:
        async with speaking(answer, greets=greets) as port:
            signal = sql_signal(port, timeout="2s")
            found = (await judged(vpn=signal))["vpn"]
            return found, await probe_sql(SqlProbe.model_validate(signal["sql"]))

    found, other = asyncio.run(both())
    assert (found.state, found.spoke) == ("no_data", True), found.detail
    assert (other.healthy, other.answered, other.untrusted) == (False, True, True)
    assert found.detail.startswith(ADDRESS)


@pytest.mark.parametrize("answer", CLOSED.values(), ids=CLOSED)
def test_a_port_that_accepts_and_closes_is_no_data_and_no_proof_of_life(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    """A device in front may accept connections for a server that is down."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)

    async def both() -> Evidence:
        async with speaking(answer) as port:
            return (await judged(vpn=sql_signal(port, timeout="2s")))["vpn"]

    found = asyncio.run(both())
    assert (found.state, found.counts_as) == ("no_data", "no_data")
    assert answer or not found.spoke


@pytest.mark.parametrize("encryption", [1, 3])
def test_a_server_that_asks_for_encryption_says_what_to_put_in_the_plan(
    monkeypatch: pytest.MonkeyPatch, encryption: int
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)

    async def both() -> Evidence:
        async with speaking(greeting(encryption), stays=True) as port:
            return (await judged(vpn=sql_signal(port, timeout="2s")))["vpn"]

    assert "certificate_authority" in asyncio.run(both()).detail
