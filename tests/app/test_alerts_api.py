"""POST /api/alerts, as an action group calls it: which alerts are refused, recorded, or start one run."""

from __future__ import annotations

import copy
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.app.api import Api

ESSENTIALS = "data.essentials"
DIMENSIONS = "data.alertContext.condition.allOf"
TOO_LONG = "r" * 40_000
"""Shorter than the body limit, longer than a row of Table Storage allows."""


def fired(api: Api, number: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """A fired alert about the primary's endpoint, with changes at dotted keys."""
    alert: dict[str, Any] = json.loads(api.alert("traffic-manager-fired", number))
    for key, value in (changes or {}).items():
        *parents, last = key.split(".")
        place = alert
        for parent in parents:
            place = place[parent]
        place[last] = copy.deepcopy(value)
    return alert


# What is refused


@pytest.mark.parametrize(
    "body",
    [b"", b"{oops", b"\xff\xfe\x00", b"schemaId=azureMonitorCommonAlertSchema", b"[" * 60_000, b'{"a": 1} {"b": 2}'],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_not_json_cannot_be_read(api: Api, body: bytes) -> None:
    assert "not JSON" in api.post("/api/alerts", body).problem(400)["detail"]


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        1,
        "alert",
        {},
        {"schemaId": "AzureMonitorMetricAlert"},
        {"schemaId": ["azureMonitorCommonAlertSchema"]},
    ],
    ids=repr,
)
def test_another_schema_is_refused_with_what_to_enable(api: Api, body: object) -> None:
    raw = json.dumps(body).encode()
    assert "common alert schema" in api.post("/api/alerts", raw).problem(422)["detail"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"data": None}, "alertTargetIDs"),
        ({ESSENTIALS: None}, "alertId"),
        ({ESSENTIALS: ["Fired"]}, "monitorCondition"),
        ({f"{ESSENTIALS}.alertTargetIDs": None}, "alertTargetIDs"),
        ({f"{ESSENTIALS}.alertTargetIDs": []}, "alertTargetIDs"),
        ({f"{ESSENTIALS}.alertTargetIDs": [None]}, "alertTargetIDs"),
        ({f"{ESSENTIALS}.alertTargetIDs": "a profile"}, "alertTargetIDs"),
        ({f"{ESSENTIALS}.alertRule": None}, "alertRule"),
        ({f"{ESSENTIALS}.alertRule": "\ud800"}, "alertRule"),
        ({f"{ESSENTIALS}.alertId": 7}, "alertId"),
        ({f"{ESSENTIALS}.alertId": "   "}, "alertId"),
        ({f"{ESSENTIALS}.monitoringService": {}}, "monitoringService"),
        ({f"{ESSENTIALS}.monitorCondition": "Acknowledged"}, "monitorCondition"),
        ({f"{ESSENTIALS}.alertTargetIDs": ["/subscriptions/0/resourceGroups/x"]}, "traffic.profile"),
    ],
    ids=lambda part: repr(part)[:70],
)
def test_an_alert_that_says_too_little_is_refused_by_what_it_lacks(
    api: Api, changes: dict[str, Any], named: str
) -> None:
    assert named in api.post("/api/alerts", fired(api, "bad", changes)).problem(422)["detail"]


def test_a_budget_alert_carries_nulls_and_is_refused(api: Api) -> None:
    assert "alertTargetIDs" in api.post("/api/alerts", api.alert("budget", "money")).problem(422)["detail"]


def test_an_alert_about_the_recovery_endpoint_starts_nothing(api: Api) -> None:
    recovery = api.lab.plan.traffic.recovery.endpoint
    problem = api.post("/api/alerts", api.alert("traffic-manager-fired", "other", endpoint=recovery)).problem(422)
    assert "primary endpoint" in problem["detail"]


@pytest.mark.parametrize("filler", [b" ", b"x"])
def test_a_body_of_300_kb_is_too_large(api: Api, filler: bytes) -> None:
    api.post("/api/alerts", filler * 300_000).problem(413)


def test_after_all_that_was_refused_no_alert_is_open_and_no_run_was_started(api: Api) -> None:
    api.post("/api/alerts", fired(api, "bad", {f"{ESSENTIALS}.alertTargetIDs": None}))
    api.post("/api/alerts", api.alert("traffic-manager-fired", "other", endpoint="azure"))
    plan = api.get("/api/plans/contoso").json
    assert (plan["open_alerts"], plan["active_run"], api.runs(), api.writes()) == (0, None, [], {})


# What is noted


@pytest.mark.parametrize("field", ["alertRule", "alertId"])
def test_a_text_that_no_row_can_hold_is_cut_and_the_alert_is_kept(api: Api, field: str) -> None:
    """A 503 would make an action group retry repeatedly, and a 4xx would lose the alert."""
    body = fired(api, "long", {f"{ESSENTIALS}.{field}": TOO_LONG, f"{ESSENTIALS}.monitorCondition": "Resolved"})
    answer = api.post("/api/alerts", body)
    assert (answer.status, answer.json["plan"], answer.json["run_id"]) == (202, "contoso", None)


def test_a_rule_about_many_queries_is_noted_and_nothing_is_postponed_by_it(api: Api) -> None:
    """A busy shop is no outage; a run would end as a false alarm, and a cooldown would follow."""
    queries = {
        "metricName": "QpsByEndpoint",
        "operator": "GreaterThan",
        "threshold": "1",
        "dimensions": [{"name": "EndpointName", "value": "on-premises"}],
    }
    answer = api.post("/api/alerts", fired(api, "busy", {DIMENSIONS: [queries]}))
    assert (answer.status, answer.json["run_id"]) == (202, None)
    plan = api.plan()
    assert (api.runs(), plan["next_look_not_before"], plan["open_alerts"]) == ([], None, 0)


@pytest.mark.parametrize("name", ["resource-health", "service-health"])
def test_an_alert_of_another_kind_is_noted(api: Api, name: str) -> None:
    answer = api.post("/api/alerts", api.alert(name, f"note-{name}"))
    assert (answer.status, answer.json["plan"], answer.json["run_id"]) == (202, "contoso", None)
    assert "Location" not in answer.headers


def test_a_resolved_alert_without_a_run_starts_nothing(api: Api) -> None:
    answer = api.post("/api/alerts", api.alert("traffic-manager-resolved", "calm"))
    assert (answer.status, answer.json["run_id"]) == (202, None)
    assert "never automatic" in answer.json["answer"]
    assert (api.runs(), api.writes()) == ([], {})


# What starts a run. This comes last: a false alarm delays the next run.


def test_one_alert_however_often_it_comes_starts_one_run_which_stands_down_while_the_primary_serves(api: Api) -> None:
    body = api.alert("traffic-manager-fired", "the-same")
    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(lambda _: api.post("/api/alerts", body), range(4)), api.post("/api/alerts", body)]
    assert [answer.status for answer in answers] == [202] * 5
    (run_id,) = {answer.json["run_id"] for answer in answers}
    assert {answer.headers["Location"] for answer in answers} == {f"/api/runs/{run_id}"}
    run = api.finished(run_id)
    assert (run["kind"], run["trigger"], run["outcome"]) == ("failover", "alert", "stood_down")
    again = api.post("/api/alerts", body)
    assert (again.status, again.json["run_id"]) == (202, run_id)
    assert [run["run_id"] for run in api.runs()] == [run_id]
    assert (api.writes(), api.left_over()) == ({}, [])
    # The primary was seen up, so an alert that was never resolved does not start one run after another.
    assert api.get("/api/plans/contoso").json["open_alerts"] == 0
    assert api.post("/api/alerts", api.alert("traffic-manager-resolved", "the-same")).json["run_id"] is None
    assert api.get("/api/plans/contoso").json["open_alerts"] == 0


def test_an_alert_is_news_and_starts_a_run_although_the_next_look_is_postponed(api: Api) -> None:
    first = api.post("/api/alerts", api.alert("traffic-manager-fired", "a blip")).json["run_id"]
    assert api.finished(first)["outcome"] == "stood_down"
    assert api.plan()["next_look_not_before"] is not None
    second = api.post("/api/alerts", api.alert("traffic-manager-fired", "and then its death")).json["run_id"]
    assert second not in (None, first)
    assert api.finished(second)["trigger"] == "alert"
