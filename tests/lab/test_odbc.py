"""Microsoft's own ODBC driver accepts the SQL Server stand-in, with and without encryption."""

from __future__ import annotations

import contextlib
import ctypes.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.lab.sql_side import NEWEST, PASSWORD, PLAIN, PORT, SECURE, USER, Server

DRIVERS = pytest.mark.parametrize(
    "driver",
    [
        "mssql-odbc",
        pytest.param(
            "",
            marks=pytest.mark.skipif(
                ctypes.util.find_library("ltdl") is None,
                reason="the driver in C needs system libraries: apt-get install libltdl7 libkrb5-3 libgssapi-krb5-2",
            ),
        ),
    ],
    ids=["in Rust", "in C"],
)
"""Microsoft ships two drivers; the one in Rust has no dependencies."""

# In a separate process: a crash of the native driver must not end the tests.
CLIENT = """
import json, sys, mssql_python
mssql_python.pooling(enabled=False)
address, encrypt, user, password, statements = json.loads(sys.argv[1])
options = f"SERVER={address};DATABASE=master;UID={user};PWD={{{password}}};Encrypt={encrypt};TrustServerCertificate=yes"
answers = []
try:
    with mssql_python.connect(options, autocommit=True, timeout=10) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
            answers.append([str(value) for value in cursor.fetchone()] if cursor.description else [])
except mssql_python.Error as error:
    answers.append(["refused", str(error)])
print(json.dumps(answers))
"""
PROBE = [
    "SELECT state_desc FROM sys.databases WHERE name = 'Orders'",
    "USE [Orders]",
    "SELECT MAX(PlacedAtUtc) FROM dbo.Orders",
]
"""The query of Coldsite's own probe."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with contextlib.closing(Server(tmp_path_factory.mktemp("odbc"))) as server:
        yield server


def ask(driver: str, address: str, encrypt: str, password: str = PASSWORD) -> list[list[str]]:
    asked = json.dumps([f"{address},{PORT}", encrypt, USER, password, PROBE])
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, asked],
        env=os.environ | {"MSSQL_PYTHON_NATIVE_PROVIDER": driver},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[list[str]] = json.loads(done.stdout)
    return answers


@DRIVERS
@pytest.mark.parametrize(("address", "encrypt"), [(PLAIN, "no"), (SECURE, "yes")])
def test_microsofts_driver_is_told_what_the_probe_is_told(
    server: Server, driver: str, address: str, encrypt: str
) -> None:
    assert ask(driver, address, encrypt) == [["ONLINE"], [], [str(NEWEST)]]


@DRIVERS
def test_microsofts_driver_hears_of_a_wrong_password(server: Server, driver: str) -> None:
    (answer,) = ask(driver, PLAIN, "no", "wrong")
    assert answer[0] == "refused"
    assert "Login failed" in answer[1]


@DRIVERS
def test_microsofts_driver_sees_a_database_that_is_not_online(server: Server, driver: str) -> None:
    server.state("SUSPECT")
    try:
        assert ask(driver, PLAIN, "no")[0] == ["SUSPECT"]
    finally:
        server.state("ONLINE")
