"""The lab's Log Analytics query endpoint runs real KQL and answers as the published example does.

Example: specification/operationalinsights/data-plane/Microsoft.OperationalInsights/stable/v1/examples/
oms-post-example.json.
Errors: learn.microsoft.com, azure-monitor/logs/api/errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.monitor.query import LogsQueryStatus

from tests.lab.azure import ARM, LOGS, SUBSCRIPTION, Azure, Reply, refusal, simulated


@pytest.fixture
def azure() -> Iterator[Azure]:
    with simulated() as azure:
        yield azure


def ask(azure: Azure, query: str, workspace: str | None = None, token: str | None = None, **body: Any) -> Reply:
    headers = {"Authorization": f"Bearer {token or azure.token(LOGS)}"}
    url = f"{azure.front.url}/v1/workspaces/{workspace or azure.logs.workspace}/query"
    return azure.call("POST", url, headers, json={"query": query, **body})


def test_query_answers_one_table_with_typed_columns_and_rows(azure: Azure) -> None:
    reply = ask(azure, "Heartbeat | take 3")
    assert reply.status == 200
    assert set(reply.body) == {"tables"}
    (table,) = reply.body["tables"]
    assert table["name"] == "PrimaryResult"
    assert [(column["name"], column["type"]) for column in table["columns"]] == [
        ("TimeGenerated", "datetime"),
        ("Computer", "string"),
        ("OSType", "string"),
    ]
    assert len(table["rows"]) == 3
    assert all(datetime.fromisoformat(row[0]).tzinfo for row in table["rows"])
    assert {(row[1], row[2]) for row in table["rows"]} == {("SQL01", "Windows")}


def test_query_runs_filters_aggregates_and_let_through_the_sdk(azure: Azure) -> None:
    text = """
        let look_back = 3600s;
        Heartbeat
        | where TimeGenerated > ago(look_back) and Computer =~ 'sql01'
        | summarize Newest = max(TimeGenerated), Beats = count() by Computer
    """
    result = azure.logs_client().query_workspace(azure.logs.workspace, text, timespan=None)
    assert result.status == LogsQueryStatus.SUCCESS
    (row,) = result.tables[0].rows
    found = dict(zip(result.tables[0].columns, row, strict=True))
    assert (found["Computer"], found["Beats"]) == ("SQL01", 10)
    assert timedelta(0) < datetime.now(UTC) - found["Newest"] < timedelta(minutes=1)


def test_query_that_matches_nothing_answers_a_table_without_rows(azure: Azure) -> None:
    reply = ask(azure, "Heartbeat | where Computer == 'nobody'")
    assert reply.status == 200
    assert [len(table["rows"]) for table in reply.body["tables"]] == [0]


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [("true", "bool", True), ("1", "long", 1), ("1.5", "real", 1.5), ("'x'", "string", "x")],
)
def test_column_has_the_type_that_kql_gives_it(azure: Azure, expression: str, kind: str, value: Any) -> None:
    (table,) = ask(azure, f"print x = {expression}").body["tables"]
    assert (table["columns"][0]["type"], table["rows"]) == (kind, [[value]])


@pytest.mark.parametrize("query", ["Heartbeat | wher x", "Heartbeat || take", "Nothing | take 1", ""])
def test_bad_kql_gets_400(azure: Azure, query: str) -> None:
    reply = ask(azure, query)
    assert (reply.status, reply.code) == (400, "BadArgumentError")
    assert reply.body["error"]["message"]


def test_bad_kql_names_its_inner_error(azure: Azure) -> None:
    error = ask(azure, "Heartbeat || take").body["error"]
    assert error.get("innererror", {}).get("code") == "SyntaxError"


def test_bad_kql_reaches_the_sdk_as_an_error(azure: Azure) -> None:
    client = azure.logs_client()
    error = refusal(lambda: client.query_workspace(azure.logs.workspace, "Heartbeat | wher x", timespan=None))
    assert error.status_code == 400


def test_body_that_is_no_json_gets_400(azure: Azure) -> None:
    url = f"{azure.front.url}/v1/workspaces/{azure.logs.workspace}/query"
    headers = {"Authorization": f"Bearer {azure.token(LOGS)}", "Content-Type": "application/json"}
    assert azure.call("POST", url, headers, data=b"{").status == 400


def test_a_timespan_is_refused_rather_than_ignored() -> None:
    with simulated(speed=1.0) as azure:
        answer = ask(azure, "Heartbeat | count", timespan="PT5M30S")
    assert (answer.status, answer.body["error"]["code"]) == (400, "NotSimulated")


def test_wrong_workspace_gets_404(azure: Azure) -> None:
    reply = ask(azure, "Heartbeat | take 1", workspace=SUBSCRIPTION)
    assert reply.status == 404
    assert reply.code


def test_query_without_a_token_gets_401(azure: Azure) -> None:
    url = f"{azure.front.url}/v1/workspaces/{azure.logs.workspace}/query"
    reply = azure.call("POST", url, {}, json={"query": "Heartbeat"})
    assert (reply.status, reply.code) == (401, "AuthenticationFailed")


def test_query_with_resource_managers_token_gets_403(azure: Azure) -> None:
    reply = ask(azure, "Heartbeat", token=azure.token(ARM))
    assert (reply.status, reply.code) == (403, "InvalidAuthenticationTokenAudience")


def test_query_with_a_token_that_is_none_gets_403(azure: Azure) -> None:
    reply = ask(azure, "Heartbeat", token="not-a-token")
    assert (reply.status, reply.code) == (403, "InvalidAuthenticationToken")
