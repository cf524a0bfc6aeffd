"""The SQL Server stand-in, queried by independent clients: FreeTDS (pymssql) and python-tds."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import OpenSSL.SSL
import pymssql
import pytds
import pytest
import trustme

from tests.lab.sql_side import NEWEST, PASSWORD, PLAIN, PORT, SECURE, USER, Server

MAKERS = (pymssql.Error, pytds.Error)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with contextlib.closing(Server(tmp_path_factory.mktemp("sql"))) as server:
        yield server


@pytest.fixture(autouse=True)
def online(server: Server) -> Iterator[None]:
    yield
    server.state("ONLINE")


def freetds(address: str = PLAIN, **more: Any) -> Any:
    named = {"user": USER, "password": PASSWORD, "database": "master", "autocommit": True} | more
    return pymssql.connect(server=address, port=str(PORT), login_timeout=5, timeout=5, **named)


def python_tds(address: str = PLAIN, **more: Any) -> Any:
    named = {"user": USER, "password": PASSWORD, "database": "master", "autocommit": True, "login_timeout": 3} | more
    return pytds.connect(dsn=address, port=PORT, timeout=5, validate_host=False, **named)


def rows(connection: Any, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(statement, values) if values is not None else cursor.execute(statement)
        return list(cursor.fetchall())


CLIENTS = pytest.mark.parametrize("connect", [freetds, python_tds])
type Connect = Callable[..., Any]


# Asking


@CLIENTS
def test_the_newest_commit_comes_back_as_a_time(server: Server, connect: Connect) -> None:
    assert rows(connect(), "SELECT MAX(PlacedAtUtc) FROM dbo.Orders WHERE Number = 'second'") == [(NEWEST,)]


@CLIENTS
def test_values_keep_their_types(server: Server, connect: Connect) -> None:
    asked = "SELECT 1, 2147483648000, 1.5, NULL, 'wörd €', '' , CAST(NULL AS TEXT)"
    assert rows(connect(), asked) == [(1, 2147483648000, 1.5, None, "wörd €", "", None)]


@CLIENTS
def test_an_answer_longer_than_a_packet_arrives_whole(server: Server, connect: Connect) -> None:
    count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
    answer = rows(connect(), f"{count} SELECT i, 'the row number ' || i FROM n")
    assert answer == [(i, f"the row number {i}") for i in range(1, 3001)]


@CLIENTS
def test_the_version_is_that_of_the_machine_it_stands_for(server: Server, connect: Connect) -> None:
    assert "SQL Server 2016" in rows(connect(), "SELECT @@VERSION")[0][0]


@CLIENTS
def test_values_are_given_as_parameters(server: Server, connect: Connect) -> None:
    asked = "SELECT Number FROM dbo.Orders WHERE Number = %s AND 5 = %d"
    asked = asked.replace("%d", "%s") if connect is python_tds else asked
    assert rows(connect(), asked, ("first", 5)) == [("first",)]


@CLIENTS
def test_a_quote_and_a_semicolon_in_a_parameter_stay_text(server: Server, connect: Connect) -> None:
    asked = "SELECT COUNT(*) FROM dbo.Orders WHERE Number = %s"
    assert rows(connect(), asked, ("O'Neil; DROP TABLE dbo.Orders",)) == [(0,)]
    assert len(server.orders()) >= 2


@CLIENTS
def test_a_semicolon_within_quotes_ends_no_statement(server: Server, connect: Connect) -> None:
    assert rows(connect(), "SELECT 'a;b' AS x") == [("a;b",)]


@CLIENTS
def test_an_order_that_is_placed_is_seen_by_everybody(server: Server, connect: Connect) -> None:
    before, number = len(server.orders()), f"placed-by-{connect.__name__}"
    with contextlib.closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO dbo.Orders VALUES (%s, %s)", (number, "2027-01-15T19:30:00+00:00"))
    assert [order.number for order in server.orders(before)] == [number]
    for other in (freetds, python_tds):
        assert rows(other(), f"SELECT COUNT(*) FROM dbo.Orders WHERE Number = '{number}'") == [(1,)]


@CLIENTS
def test_an_order_that_is_rolled_back_is_not_kept(server: Server, connect: Connect) -> None:
    """Or the transaction is refused: an operation that is not modelled must not look as if it were."""
    before = server.orders()
    order = f"('rolled-back-by-{connect.__name__}', '2027-01-15T19:30:00+00:00')"
    with contextlib.closing(connect(autocommit=False)) as connection, contextlib.suppress(*MAKERS):
        connection.cursor().execute(f"INSERT INTO dbo.Orders VALUES {order}")
        connection.rollback()
    assert server.orders() == before


@CLIENTS
@pytest.mark.parametrize("statement", ["SELEC 1", "SELECT * FROM dbo.Nothing", "EXEC xp_cmdshell 'dir'"])
def test_what_cannot_be_done_is_an_error_and_the_connection_goes_on(
    server: Server, connect: Connect, statement: str
) -> None:
    with contextlib.closing(connect()) as connection, connection.cursor() as cursor:
        with pytest.raises(MAKERS):
            cursor.execute(statement)
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]


def test_a_parameter_type_that_is_not_modelled_is_refused_by_its_number(server: Server) -> None:
    with pytest.raises(pytds.Error, match="0x2a is not modelled"):
        rows(python_tds(), "SELECT %s", (NEWEST,))


# Logging in


@CLIENTS
@pytest.mark.parametrize("login", [{"password": "wrong"}, {"user": "sa"}, {"password": ""}], ids=repr)
def test_a_wrong_login_is_refused(server: Server, connect: Connect, login: dict[str, str]) -> None:
    with pytest.raises((pymssql.OperationalError, pytds.OperationalError)) as refused:
        connect(**login)
    if connect is python_tds:  # FreeTDS does not pass the server's message on.
        assert f"Login failed for user '{login.get('user', USER)}'" in str(refused.value)


@CLIENTS
def test_a_database_that_is_not_there_cannot_be_logged_in_to(server: Server, connect: Connect) -> None:
    """python-tds tries such a login again until its time is up."""
    more: dict[str, Any] = {"login_timeout": 0.5} if connect is python_tds else {}
    with pytest.raises((pymssql.OperationalError, pytds.OperationalError, TimeoutError)):
        connect(database="Nowhere", **more)


@CLIENTS
def test_the_database_itself_can_be_logged_in_to(server: Server, connect: Connect) -> None:
    assert rows(connect(database="Orders"), "SELECT COUNT(*) > 1 FROM dbo.Orders") == [(1,)]


# TLS


def test_python_tds_speaks_tls_and_knows_the_authority(server: Server) -> None:
    asked = "SELECT MAX(PlacedAtUtc) FROM dbo.Orders"
    assert rows(python_tds(SECURE, cafile=str(server.authority)), asked) == [(NEWEST,)]


def test_python_tds_refuses_a_certificate_of_another_authority(server: Server, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with pytest.raises(OpenSSL.SSL.Error, match="certificate verify failed"):
        python_tds(SECURE, cafile=str(tmp_path / "other.pem"))


def test_freetds_speaks_tls(server: Server) -> None:
    asked = "SELECT MAX(PlacedAtUtc) FROM dbo.Orders"
    assert rows(freetds(SECURE, encryption="require"), asked) == [(NEWEST,)]


@CLIENTS
def test_a_client_that_wants_no_tls_is_served_all_the_same(server: Server, connect: Connect) -> None:
    assert rows(connect(SECURE), "SELECT 1") == [(1,)]


def test_a_client_that_insists_on_tls_is_not_served_without(server: Server) -> None:
    with pytest.raises(pytds.Error, match="encryption"):
        python_tds(PLAIN, cafile=str(server.authority))
    with pytest.raises(pymssql.OperationalError):
        freetds(PLAIN, encryption="require")


# States of the database


@CLIENTS
@pytest.mark.parametrize("state", ["RECOVERING", "RECOVERY_PENDING", "SUSPECT", "RESTORING", "OFFLINE"])
def test_a_database_that_is_not_online_tells_its_state_and_nothing_else(
    server: Server, connect: Connect, state: str
) -> None:
    server.state(state)
    asked = "SELECT state_desc FROM sys.databases WHERE name = 'Orders'"
    assert rows(connect(), asked) == [(state,)]
    for statement in ("SELECT COUNT(*) FROM dbo.Orders", "INSERT INTO dbo.Orders VALUES ('x', 'y')", "USE [Orders]"):
        with pytest.raises(MAKERS, match=state):
            rows(connect(), statement)


def test_a_suspect_database_cannot_be_logged_in_to(server: Server) -> None:
    server.state("SUSPECT")
    with pytest.raises((pytds.Error, TimeoutError)):
        rows(python_tds(database="Orders", login_timeout=0.5), "SELECT 1")


# Not SQL at all


def packet(kind: int, body: bytes, *, last: bool = True, length: int | None = None) -> bytes:
    return struct.pack(">BBHHBB", kind, int(last), len(body) + 8 if length is None else length, 0, 1, 0) + body


PRELOGIN = packet(0x12, b"\xff")
BROKEN = {
    "nothing": b"",
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeros": b"\0" * 64,
    "a login first": packet(0x10, b"\0" * 94),
    "a length below the header's": packet(0x12, b"", length=3),
    "half a prelogin": packet(0x12, b"\xff", length=200),
    "an option that points nowhere": packet(0x12, struct.pack(">BHH", 1, 60000, 1) + b"\xff"),
    "an empty login": PRELOGIN + packet(0x10, b""),
    "a short login": PRELOGIN + packet(0x10, b"\0" * 20),
    "a login of ones": PRELOGIN + packet(0x10, b"\xff" * 94),
    "a batch without a login": PRELOGIN + packet(0x01, b"\x04\0\0\0"),
    "random": bytes(range(256)) * 40,
}


@pytest.mark.parametrize("address", [PLAIN, SECURE])
@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_broken_bytes_close_the_connection_quietly_and_others_are_served(
    server: Server, raw: bytes, address: str
) -> None:
    server.loop.complaints.clear()
    with socket.create_connection((address, PORT), timeout=5) as broken:
        broken.sendall(raw)
        broken.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while broken.recv(4096):
                pass
    assert rows(python_tds(address), "SELECT 1") == [(1,)]
    assert server.loop.complaints == []


@pytest.mark.parametrize("body", [b"", b"\x01", b"\xff" * 8, b"\x16\0\0\0", b"\x04\0\0\0\xff\xff\x0a\0\0\0\0\xe7"])
@pytest.mark.parametrize("kind", [0x01, 0x03, 0x0E, 0x07])
def test_broken_bytes_after_the_login_end_that_connection_only(server: Server, kind: int, body: bytes) -> None:
    server.loop.complaints.clear()
    with socket.create_connection((PLAIN, PORT), timeout=5) as raw:
        connection = pytds.connect(
            dsn=PLAIN, port=PORT, user=USER, password=PASSWORD, sock=raw, autocommit=True, disable_connect_retry=True
        )
        raw.sendall(packet(kind, body))
        raw.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while raw.recv(4096):
                pass
        with contextlib.suppress(Exception):
            connection.close()
    assert rows(python_tds(), "SELECT 1") == [(1,)]
    assert server.loop.complaints == []


# Refusing an address


@CLIENTS
def test_an_address_that_is_refused_cuts_its_connections_and_no_others(server: Server, connect: Connect) -> None:
    address = "127.77.0.9"
    server.listen(address)
    with contextlib.closing(connect(address)) as cut, contextlib.closing(connect()) as kept:
        server.refuse(address)
        with pytest.raises((*MAKERS, OSError)):
            rows(cut, "SELECT 1")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, PORT), timeout=5)
        assert rows(kept, "SELECT 1") == [(1,)]
    server.listen(address)
    try:
        assert len(rows(connect(address), "SELECT Number FROM dbo.Orders")) == len(server.orders())
    finally:
        server.refuse(address)
