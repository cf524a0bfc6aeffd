"""Heartbeat queries in practice: the newest sign of life is found in any column of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.azure.log_analytics import newest_sign
from shared.models.errors import QueryAnswerError
from shared.models.evidence import Evidence
from shared.models.orders import Sources
from shared.probes.evidence import gather
from tests.lab.app_side import AppSide, as_the_app
from tests.lab.azure import simulated
from tests.lab.peer import free_port
from tests.lab.speakers import ADDRESS, plan_with, sql_signal

WINDOW = timedelta(minutes=5)


@pytest.fixture(scope="module")
def app() -> Iterator[AppSide]:
    with simulated() as azure:
        settings = {
            "COLDSITE_WORKSPACE_ID": azure.logs.workspace,
            "COLDSITE_LOGS_ENDPOINT": f"{azure.front.url}/v1",
            "RECOVERY_PUBLIC_ADDRESS": "127.88.0.77",
            "SQL_PROBE": "probe:secret",
        }
        with as_the_app(azure, **settings) as app:
            yield app


def newest(app: AppSide) -> datetime:
    """The newest sign of life that the workspace holds."""
    found = app.run(newest_sign("Heartbeat | summarize max(TimeGenerated)", WINDOW))
    assert found
    return found


QUERIES = {
    "the newest of all": "Heartbeat | summarize LastSign = max(TimeGenerated)",
    "by computer": "Heartbeat | summarize LastHeartbeat = max(TimeGenerated) by Computer",
    "the whole newest row": "Heartbeat | summarize arg_max(TimeGenerated, OSType) by Computer",
    "every row, the computer first": "Heartbeat | project Computer, TimeGenerated",
    "the oldest row first": "Heartbeat | sort by TimeGenerated asc",
    "with its count": "Heartbeat | summarize Beats = count(), LastSign = max(TimeGenerated) by Computer, OSType",
    "the time last": "Heartbeat | project OSType, Computer, At = TimeGenerated | take 100",
    "as text": "Heartbeat | summarize At = max(TimeGenerated) | project Said = tostring(At)",
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_the_newest_sign_is_found_in_any_column_and_row(app: AppSide, query: str) -> None:
    found = app.run(newest_sign(query, WINDOW))
    assert found == newest(app)
    assert found.tzinfo


@pytest.mark.parametrize(
    "query",
    [
        "Heartbeat | where Computer == 'nobody'",
        "Heartbeat | where Computer == 'nobody' | summarize max(TimeGenerated)",
        "Heartbeat | where Computer == 'nobody' | summarize max(TimeGenerated) by Computer",
    ],
)
def test_no_sign_is_none_and_no_error(app: AppSide, query: str) -> None:
    assert app.run(newest_sign(query, WINDOW)) is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("Heartbeat | distinct Computer", "SQL01"),
        ("Heartbeat | summarize count()", "10"),
        ("print x = 'yesterday'", "yesterday"),
        ("print x = 1.5", "1.5"),
    ],
)
def test_rows_without_a_time_are_refused_with_what_the_query_must_answer(app: AppSide, query: str, words: str) -> None:
    with pytest.raises(QueryAnswerError) as caught:
        app.run(newest_sign(query, WINDOW))
    assert words in str(caught.value)
    assert "must return the time of the newest sign of life" in str(caught.value)


def test_a_time_in_the_future_is_no_sign_of_life(app: AppSide) -> None:
    query = "Heartbeat | summarize Last = max(TimeGenerated) by Computer | extend Expires = datetime(2099-12-31)"
    found = app.run(newest_sign(query, WINDOW))
    assert found is not None
    assert found <= datetime.now(UTC)
    with pytest.raises(QueryAnswerError) as caught:
        app.run(newest_sign("print x = datetime(2099-12-31)", WINDOW))
    assert "only times in the future" in str(caught.value)


def test_a_name_of_digits_is_no_time(app: AppSide) -> None:
    with pytest.raises(QueryAnswerError):
        app.run(newest_sign("print x = '20251231'", WINDOW))


# As evidence, beside another signal


def ask(app: AppSide, query: str, stale_after: str = "30m") -> dict[str, Evidence]:
    agent = {"path": "agent", "logs": {"query": "heartbeat.kql", "stale_after": stale_after}}
    plan = plan_with(agent=agent, vpn=sql_signal(free_port()))
    order = Sources.of(plan).model_copy(update={"queries": {"heartbeat.kql": query}})
    return {evidence.signal: evidence for evidence in app.run(gather(order)).evidence}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_server_that_beats_is_up_and_its_age_is_told(app: AppSide, query: str) -> None:
    found = ask(app, query)["agent"]
    assert (found.state, found.detail) == ("up", "last sign of life")
    assert timedelta(seconds=found.age) == pytest.approx(datetime.now(UTC) - newest(app), abs=timedelta(seconds=5))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("Heartbeat | distinct Computer", "must return the time"),
        ("Heartbeat | wher x", "Azure did not answer (BadArgumentError)"),
        ("Nothing | take 1", "Azure did not answer (BadArgumentError)"),
        ("Heartbeat | where Computer == 'nobody'", "no sign of life on record"),
    ],
)
def test_a_query_that_says_nothing_is_no_data_and_takes_nothing_from_the_others(
    app: AppSide, query: str, words: str
) -> None:
    found = ask(app, query)
    assert (found["agent"].state, found["agent"].spoke) == ("no_data", False)
    assert words in found["agent"].detail
    assert (found["vpn"].state, found["vpn"].detail) == ("down", f"{ADDRESS} refused the connection")


def test_a_sign_that_is_too_old_is_down(app: AppSide) -> None:
    found: Any = ask(app, "Heartbeat | summarize min(TimeGenerated) by Computer", stale_after="1s")["agent"]
    assert found.state == "down"
