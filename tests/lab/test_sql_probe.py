"""The SQL probe, against the SQL Server stand-in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from shared.models.errors import SettingError
from shared.models.probes import SqlProbe
from shared.probes.answer import ProbeAnswer
from shared.probes.sql import probe_sql
from tests.lab.sql_side import NEWEST, PASSWORD, PLAIN, PORT, SECURE, USER, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with contextlib.closing(Server(tmp_path_factory.mktemp("sql"))) as server:
        yield server


def ask(address: str | None = PLAIN, **changes: Any) -> ProbeAnswer:
    named: dict[str, Any] = {"port": PORT, "database": "Orders", "credential": "SQL_LOGIN", "timeout": "2s"}
    return asyncio.run(probe_sql(SqlProbe(**named | changes), address))


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch, server: Server) -> Iterator[None]:
    """The probe's login. What a test did to the database is undone after it."""
    monkeypatch.setenv("SQL_LOGIN", f"{USER}:{PASSWORD}")
    yield
    server.state("ONLINE")


@pytest.mark.usefixtures("login")
class TestProbe:
    def test_an_online_database_is_healthy(self) -> None:
        answer = ask()
        assert (answer.healthy, answer.newest_commit) == (True, None)
        assert "ONLINE" in answer.detail

    def test_the_newest_commit_is_told_in_utc(self) -> None:
        answer = ask(recovery_point_query="SELECT MAX(PlacedAtUtc) FROM dbo.Orders WHERE Number = 'second'")
        assert answer.newest_commit == NEWEST.replace(tzinfo=UTC)

    def test_a_database_without_a_commit_is_healthy_all_the_same(self) -> None:
        answer = ask(recovery_point_query="SELECT MAX(PlacedAtUtc) FROM dbo.Orders WHERE Number = 'none'")
        assert (answer.healthy, answer.newest_commit) == (True, None)

    @pytest.mark.parametrize(
        ("state", "hopeless"),
        [("RECOVERING", False), ("RESTORING", True), ("SUSPECT", True), ("RECOVERY_PENDING", True), ("OFFLINE", True)],
    )
    def test_another_state_is_unwell_and_says_whether_waiting_helps(
        self, server: Server, state: str, hopeless: bool
    ) -> None:
        server.state(state)
        answer = ask()
        assert (answer.healthy, answer.hopeless) == (False, hopeless)
        assert state in answer.detail

    def test_a_database_that_is_not_there_says_nothing_of_the_site_and_waiting_does_not_help(self) -> None:
        answer = ask(database="Nowhere")
        assert (answer.healthy, answer.untrusted, answer.hopeless) == (False, True, True)
        assert "does not exist" in answer.detail

    def test_a_query_that_fails_leaves_the_database_healthy_and_unmeasured(self) -> None:
        answer = ask(recovery_point_query="SELECT MAX(Nothing) FROM dbo.Orders")
        assert (answer.healthy, answer.newest_commit) == (True, None)
        assert answer.unmeasured
        assert answer.unmeasured.startswith("recovery_point_query failed: ")
        assert "Nothing" in answer.unmeasured

    def test_a_name_with_a_bracket_cannot_leave_its_place(self, server: Server) -> None:
        before = server.orders()
        assert not ask(database="Orders]; DELETE FROM dbo.Orders; --").healthy
        assert server.orders() == before

    def test_a_server_that_is_named_wins_over_the_default(self) -> None:
        assert ask("127.77.0.99", server=PLAIN).healthy

    def test_a_wrong_login_is_unwell_and_keeps_the_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SQL_LOGIN", f"{USER}:secret-word")
        answer = ask()
        assert not answer.healthy
        assert "login" in answer.detail.lower()
        assert "secret-word" not in answer.detail

    @pytest.mark.parametrize("value", ["", "no-colon", ":secret-word"])
    def test_a_login_setting_that_is_none_is_named_and_not_shown(
        self, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        monkeypatch.setenv("SQL_LOGIN", value)
        with pytest.raises(SettingError, match="SQL_LOGIN") as caught:
            ask()
        assert "secret-word" not in str(caught.value)

    def test_a_login_setting_that_is_missing_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SQL_LOGIN")
        with pytest.raises(SettingError, match="SQL_LOGIN"):
            ask()

    def test_tls_is_spoken_where_a_setting_names_the_authority(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SQL_CA", str(server.authority))
        assert ask(SECURE, certificate_authority="SQL_CA").healthy
        assert not ask(PLAIN, certificate_authority="SQL_CA").healthy

    def test_a_certificate_of_another_authority_is_an_answer_and_no_error(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
        monkeypatch.setenv("SQL_CA", str(tmp_path / "other.pem"))
        assert not ask(SECURE, certificate_authority="SQL_CA").healthy

    def test_a_refused_connection_is_an_answer_at_once(self) -> None:
        began = datetime.now(UTC)
        assert ask("127.77.0.99").detail == "127.77.0.99 refused the connection"
        assert datetime.now(UTC) - began < timedelta(seconds=1)

    def test_a_server_that_says_nothing_is_given_up_in_time(self) -> None:
        with socket.create_server((PLAIN, 0)) as silent:
            began = datetime.now(UTC)
            answer = ask(port=silent.getsockname()[1], timeout="500ms")
            assert (answer.healthy, answer.detail) == (False, f"{PLAIN} gave no answer in time")
            assert datetime.now(UTC) - began < timedelta(seconds=3)
