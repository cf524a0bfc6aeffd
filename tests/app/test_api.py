"""The operator's HTTP API: what it refuses and how it says so. Nothing in this file starts a run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.app.api import REFUSED, Answer, Api
from tests.app.test_index import ROUTES

NOBODY = "contoso-f20270115203000000-abcd"
"""A valid run id that does not exist."""


def path_of(route: str) -> str:
    values = {"plan": "contoso", "run_id": NOBODY, "action:alpha": "abort", "workload": "sql"}
    for name, value in values.items():
        route = route.replace(f"{{{name}}}", value)
    return f"/api/{route}"


CALLS = [(method, path_of(route)) for method, route in ROUTES.values()]


# Keys


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("key", [None, "", "wrong", "schlüssel"])
def test_without_the_key_nothing_is_answered(api: Api, method: str, path: str, key: str | None) -> None:
    answer = api.ask(method, path, key=key.encode().decode("latin-1") if key else None)
    assert (answer.status, answer.body) == (401, b"")


# Invalid names and ids

ODD = [
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fwork",
    "%5c%5cserver%5cshare",
    "%00",
    "contoso%00",
    f"{NOBODY}%00",
    f"{NOBODY}%0a",
    "%27%20or%20PartitionKey%20ne%20%27",
    "%22%3e%3cscript%3e",
    "%e2%82%ac%f0%9f%9a%92",
    "%ff%fe",
    "%25%32%65",
    "CONTOSO",
    "contoso-f99999999999999999-abcd",
    "contoso-x20270115203000000-abcd",
    "contoso-d20270115203000000-ABCD",
    "contoso-d%d9%a2%d9%a0270115203000000-abcd",
    NOBODY,
    "x" * 8000,
    "x" * 10240,
]
PLACES = [
    ("GET", "/api/runs/{}"),
    ("POST", "/api/runs/{}/abort"),
    ("POST", "/api/runs/{}/approve"),
    ("GET", "/api/plans/{}"),
    ("POST", "/api/plans/{}/failover"),
    ("POST", "/api/plans/{}/pause"),
    ("GET", "/api/plans/{}/check"),
    ("GET", "/api/plans/{}/points"),
]


def reveals_nothing(api: Api, answer: Answer, expected: str) -> None:
    """No local path, no Python text, and no echo of the request."""
    for secret in ("/work", "/tmp", "/api/runs/x", "/api/plans/x", str(api.lab.folder), ".py", "Traceback", "Error"):
        assert secret not in answer.text
    assert expected not in answer.text
    assert expected[:60] not in answer.text


@pytest.mark.parametrize(("method", "place"), PLACES)
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:40] + (f"_{len(odd)}" if len(odd) > 40 else ""))
def test_an_id_that_is_none_is_not_found_and_not_repeated(api: Api, method: str, place: str, odd: str) -> None:
    answer = api.ask(method, place.format(odd), {"reason": "x"} if method == "POST" else b"")
    assert answer.status == 404
    reveals_nothing(api, answer, odd)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/api/runs/{NOBODY}"),
        ("POST", f"/api/runs/{NOBODY}/retry"),
        ("GET", "/api/plans/other"),
        ("POST", "/api/plans/other/failover"),
        ("POST", "/api/plans/other/drill"),
        ("POST", "/api/plans/other/pause"),
        ("GET", "/api/runs?plan=other"),
        ("GET", "/api/runs?before=other"),
    ],
)
def test_what_is_not_there_is_answered_with_where_to_look(api: Api, method: str, path: str) -> None:
    problem = api.ask(method, path, b'{"reason": "x"}' if method == "POST" else b"").problem(404)
    assert problem["title"] == "Not found"
    assert "GET /api/" in problem["detail"]


def test_a_run_cannot_be_told_what_there_is_no_word_for(api: Api) -> None:
    api.post(f"/api/runs/{NOBODY}/explode").problem(404)


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/alerts"), ("PUT", "/api/runs"), ("DELETE", CALLS[6][1])])
def test_a_method_that_a_route_does_not_take_is_refused(api: Api, method: str, path: str) -> None:
    assert api.ask(method, path).status == 405


# Invalid bodies

NOT_JSON = [b"{oops", b"\xff\xfe\x00", b"reason=x", b"[" * 40_000, b'{"reason": "x"} {}']
NO_OBJECT = [b"[]", b"null", b'"reason"', b"5", b'[{"reason": "x"}]']
FAILOVER: list[tuple[dict[str, Any], str]] = [
    ({}, "reason"),
    ({"reason": ""}, "reason"),
    ({"reason": None}, "reason"),
    ({"reason": 5}, "reason"),
    ({"reason": "x" * 501}, "reason"),
    ({"reason": "x", "mod": "planned"}, "mod"),
    ({"reason": "x", "mode": "Planned"}, "mode"),
    ({"reason": "x", "mode": ["planned"]}, "mode"),
    ({"reason": "x", "acknowledge_primary_healthy": "perhaps"}, "acknowledge_primary_healthy"),
    ({"reason": "x", "recovery_point": "before:yesterday"}, "recovery_point"),
    ({"reason": "x", "recovery_point": "before:9999-99-99"}, "recovery_point"),
    ({"reason": "x", "recovery_point": "a b"}, "recovery_point"),
    ({"reason": "x", "recovery_point": "../latest"}, "recovery_point"),
]
PAUSE: list[tuple[dict[str, Any], str]] = [
    ({"reason": "x"}, "for"),
    ({"for": "2h"}, "reason"),
    ({"for": "soon", "reason": "x"}, "for"),
    ({"for": "-1h", "reason": "x"}, "for"),
    ({"for": 7200, "reason": "x"}, "for"),
    ({"for": "99999999999999d", "reason": "x"}, "for"),
    ({"for": "3000000d", "reason": "x"}, "for"),
    ({"for": "2h", "reason": "x", "until": "tomorrow"}, "until"),
]


@pytest.mark.parametrize("what", ["failover", "drill", "pause"])
@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:20]))
def test_a_body_that_is_not_json_cannot_be_read(api: Api, what: str, body: bytes) -> None:
    assert "not JSON" in api.post(f"/api/plans/contoso/{what}", body).problem(400)["detail"]


@pytest.mark.parametrize("what", ["failover", "drill", "pause"])
@pytest.mark.parametrize("body", NO_OBJECT, ids=repr)
def test_a_body_that_is_no_object_makes_no_sense(api: Api, what: str, body: bytes) -> None:
    assert "object" in api.post(f"/api/plans/contoso/{what}", body).problem(422)["detail"]


@pytest.mark.parametrize(("body", "field"), FAILOVER, ids=lambda part: repr(part)[:60])
def test_a_failover_that_does_not_fit_is_refused_by_the_fields_name(api: Api, body: dict[str, Any], field: str) -> None:
    assert f"{field}: " in api.post("/api/plans/contoso/failover", body).problem(422)["detail"]


@pytest.mark.parametrize(("body", "field"), PAUSE, ids=lambda part: repr(part)[:60])
def test_a_pause_that_does_not_fit_is_refused_by_the_fields_name(api: Api, body: dict[str, Any], field: str) -> None:
    assert f"{field}: " in api.post("/api/plans/contoso/pause", body).problem(422)["detail"]


@pytest.mark.parametrize("body", [{"reason": ""}, {"keep_for": "2h"}, {"reason": "\ud800"}], ids=repr)
def test_a_drill_that_does_not_fit_is_refused(api: Api, body: dict[str, Any]) -> None:
    api.post("/api/plans/contoso/drill", body).problem(422)


@pytest.mark.parametrize("what", ["failover", "drill", "pause"])
def test_a_body_of_more_than_64_kib_is_too_large(api: Api, what: str) -> None:
    body = json.dumps({"reason": "x"}).encode()
    api.post(f"/api/plans/contoso/{what}", body + b" " * (64 * 1024)).problem(413)


def test_nothing_of_all_this_has_started_anything(api: Api) -> None:
    """Also when this test runs alone: a refused request leaves no run, no pause and no write to Azure."""
    for body, _ in FAILOVER[:3] + PAUSE[:3]:
        assert api.post("/api/plans/contoso/failover", body).status in REFUSED
    state = api.get("/api/plans/contoso").json
    assert (api.runs(), state["active_run"], state["paused_until"]) == ([], None, None)
    assert api.writes() == {}


# The primary serves


def test_a_failover_away_from_a_primary_that_serves_is_refused_with_the_evidence(api: Api) -> None:
    problem = api.post("/api/plans/contoso/failover", {"reason": "I am nervous"}).problem(409)
    assert "acknowledge_primary_healthy" in problem["detail"]
    seen = {evidence["signal"]: evidence["state"] for evidence in problem["evidence"]}
    assert seen == dict.fromkeys(("public", "traffic", "vpn", "heartbeat", "observer", "azure"), "up")
    assert (api.runs(), api.writes(), api.left_over()) == ([], {}, [])


# What cannot be started


def test_a_planned_failover_of_a_plan_that_cannot_stop_the_source_is_refused_with_what_it_lacks(api: Api) -> None:
    problem = api.post("/api/plans/contoso/failover", {"reason": "moving offices", "mode": "planned"}).problem(409)
    assert "it lacks fence (a hook that stops the source's writes)." in problem["detail"]
    assert "start an unplanned failover and acknowledge" in problem["detail"]
    assert (api.runs(), api.writes()) == ([], {})


@pytest.mark.parametrize("point", ["nonsense", "latest_good", "before:2027-01-15T20:00:00Z", "contoso-point-2027"])
def test_a_recovery_point_that_is_not_there_starts_nothing(api: Api, point: str) -> None:
    body = {"reason": "x", "acknowledge_primary_healthy": True, "recovery_point": point}
    problem = api.post("/api/plans/contoso/failover", body).problem(409)
    assert problem["detail"] == (
        f"No recovery point matches {point!r}. There is none; `coldsite points contoso` lists them."
    )
    assert (problem["points"], api.runs()) == ([], [])


# Reading


def test_a_check_asks_every_signal_now_and_starts_nothing(api: Api) -> None:
    checked = api.get("/api/plans/contoso/check").json
    assert (checked["plan"], checked["says"]) == ("contoso", "up")
    assert {evidence["signal"] for evidence in checked["evidence"]} == {
        "public",
        "traffic",
        "vpn",
        "heartbeat",
        "observer",
        "azure",
    }
    for signal in ("public", "vpn", "heartbeat"):
        assert f"{signal}: up (" in checked["sentence"]
    assert (api.runs(), api.writes()) == ([], {})


def test_a_plan_without_recovery_points_lists_none(api: Api) -> None:
    assert api.get("/api/plans/contoso/points").json == {"points": []}


def test_a_plan_says_that_the_age_of_its_data_is_not_known_before_the_first_check(api: Api) -> None:
    replica = api.plan()["replica"]
    assert (replica["looked_at"], replica["data_until"], replica["state"]) == (None, None, "unknown")
    assert replica["loss_limit"] > 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=many", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=0", "limit"),
        ("limit=-5", "limit"),
        ("limit=%00", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("kind=Drill", "kind"),
        ("kind=%27%20or%20%27", "kind"),
    ],
    ids=lambda part: part[:40],
)
def test_a_question_that_does_not_fit_is_refused_by_the_fields_name(api: Api, query: str, field: str) -> None:
    assert field in api.get(f"/api/runs?{query}").problem(422)["detail"]


@pytest.mark.parametrize("before", ["%2e%2e", "latest", "%00", "x" * 5000], ids=lambda before: before[:20])
def test_runs_before_one_that_cannot_be_are_not_found(api: Api, before: str) -> None:
    reveals_nothing(api, api.get(f"/api/runs?before={before}"), before)
    api.get(f"/api/runs?before={before}").problem(404)


@pytest.mark.parametrize("query", ["", "?limit=1", "?limit=100000000000000000000", "?kind=failback", "?color=blue"])
def test_a_history_without_runs_is_an_empty_list(api: Api, query: str) -> None:
    answer = api.get(f"/api/runs{query}")
    assert (answer.status, answer.headers.get_content_type()) == (200, "application/json")
    assert answer.json == {"runs": []}


def test_a_plan_tells_its_state_and_keeps_its_scripts_to_itself(api: Api) -> None:
    plan = api.get("/api/plans/contoso").json
    assert (plan["active_site"], plan["primary_latched"], plan["mode"]) == ("primary", False, "automatic")
    assert plan["plan"]["traffic"]["hostname"] == "contoso.trafficmanager.net"
    assert "script_texts" not in api.get("/api/plans/contoso").text
    assert [plan["name"] for plan in api.get("/api/plans").json["plans"]] == ["contoso"]


def test_reading_never_acts(api: Api) -> None:
    before = (api.runs(), api.writes(), api.left_over(), api.get("/api/plans").json)
    for path in ("plans", "plans/contoso", "runs", "runs?limit=1", f"runs/{NOBODY}", f"runs/{NOBODY}/abort"):
        for query in ("", "?reason=x", "?action=failover"):
            api.get(f"/api/{path}{query}")
    assert (api.runs(), api.writes(), api.left_over(), api.get("/api/plans").json) == before


# A pause


def test_a_pause_is_shown_with_its_reason_and_ends_at_once_with_zero(api: Api) -> None:
    paused = api.post("/api/plans/contoso/pause", {"for": "2h", "reason": "Windows updates"})
    try:
        assert paused.status == 200
        assert "Windows updates" in api.get("/api/plans/contoso").json["pause_reason"]
    finally:
        ended = api.post("/api/plans/contoso/pause", {"for": "0s", "reason": "done"}).json
    assert paused.json["paused_until"] is not None
    assert (ended["paused_until"], ended["pause_reason"]) == (None, None)
