"""The HTTP API by function key: what each key opens, the headers of every answer, and that a key has no identity."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from tests.app.api import Answer, Api
from tests.app.test_api import NOBODY
from tests.app.test_index import ROUTES
from tests.plans import contoso_with

PAUSE = "/api/plans/contoso/pause"
ZERO = b'{"for": "0s", "reason": "A test"}'
"""A pause that ends at once."""
FORGED = base64.b64encode(
    json.dumps(
        {
            "auth_typ": "aad",
            "claims": [{"typ": "oid", "val": "0" * 32}, {"typ": "preferred_username", "val": "ada@contoso.example"}],
        }
    ).encode()
).decode()
FOUR_EYES = contoso_with({"detection.approval": {"deadline": "30m", "then": "expire", "four_eyes": True}})


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api(FOUR_EYES, "housekeeping") as api:
        yield api


def knock(api: Api, function: str, key: str, in_address: bool = False) -> Answer:
    """Calls a function for a plan or run that does not exist, so that nothing starts with a valid key."""
    method, route = ROUTES[function]
    path = (
        route.replace("{plan}", "other")
        .replace("{run_id}", NOBODY)
        .replace("{action:alpha}", "abort")
        .replace("{workload}", "sql")
    )
    body = b"{}" if method == "POST" else b""
    if in_address:
        return api.ask(method, f"/api/{path}?code={key}", body, None)
    return api.ask(method, f"/api/{path}", body, key)


# What each key opens


@pytest.mark.parametrize("in_address", [False, True], ids=["header", "address"])
@pytest.mark.parametrize("function", ROUTES)
def test_a_functions_own_key_opens_it_and_nothing_else(api: Api, function: str, in_address: bool) -> None:
    key = api.lab.functions.keys[function]
    opened = {other for other in ROUTES if knock(api, other, key, in_address).status != 401}
    assert opened == {function}


def test_the_hosts_key_opens_every_function(api: Api) -> None:
    key = api.lab.functions.function_key
    assert {name: knock(api, name, key).status for name in ROUTES} == {
        "alerts": 422,
        "start_failover": 404,
        "start_drill": 404,
        "start_failback": 404,
        "pause": 404,
        "steer_run": 404,
        "list_plans": 200,
        "read_plan": 404,
        "check_plan": 404,
        "settle": 404,
        "read_forecast": 404,
        "check_history": 404,
        "read_readiness": 404,
        "plan_evidence": 404,
        "try_notifications": 404,
        "list_points": 404,
        "list_runs": 200,
        "read_run": 404,
        "run_report": 404,
        "dashboard": 200,
        "dashboard_document": 200,
        "fleet_status": 200,
        "run_screen": 404,
        "dashboard_run": 404,
        "dashboard_run_document": 404,
        "openapi": 200,
        "check_self": 200,
    }


def test_each_function_has_a_key_of_its_own(api: Api) -> None:
    functions = api.lab.functions
    keys = [functions.keys[name] for name in ROUTES]
    assert len({*keys, functions.function_key, functions.master_key}) == len(ROUTES) + 2


@pytest.mark.parametrize("start", [0, 1])
def test_a_part_of_a_key_opens_nothing(api: Api, start: int) -> None:
    key = api.lab.functions.keys["alerts"]
    assert knock(api, "alerts", key[start : len(key) - 1 + start]).status == 401


# A key has no identity


@pytest.mark.parametrize("key", ["own", "host"])
def test_the_story_says_that_a_key_paused_whatever_principal_is_shown(api: Api, key: str) -> None:
    functions = api.lab.functions
    shown = {"own": functions.keys["pause"], "host": functions.function_key}[key]
    headers = {"X-MS-CLIENT-PRINCIPAL": FORGED, "X-MS-CLIENT-PRINCIPAL-NAME": "ada@contoso.example"}
    assert api.ask("POST", PAUSE, ZERO, shown, headers).status == 200
    assert "ended by a holder of the function key: " in api.story()[0]


def test_the_app_itself_ignores_a_principal_while_sign_in_is_off(api: Api) -> None:
    """Without App Service Authentication any client can set the header."""
    assert (
        api.past_the_platform("pause", {"X-MS-CLIENT-PRINCIPAL": FORGED}, json.loads(ZERO), plan="contoso").status
        == 200
    )
    assert "ended by a holder of the function key: " in api.story()[0]


def test_a_failover_by_key_is_refused_where_the_plan_asks_for_four_eyes(api: Api) -> None:
    wanted = {"reason": "The building is on fire", "acknowledge_primary_healthy": True}
    problem = api.ask("POST", "/api/plans/contoso/failover", wanted, headers={"X-MS-CLIENT-PRINCIPAL": FORGED}).problem(
        409
    )
    assert "four eyes" in problem["detail"]
    assert "a function key does not identify a person" in problem["detail"]
    assert "COLDSITE_SIGN_IN" in problem["detail"]
    assert (api.runs(), api.plan()["active_run"], api.writes()) == ([], None, {})


# The headers of every answer


REASON = {"reason": "A test"}
ANSWERS: dict[int, tuple[str, str, object, dict[str, str]]] = {
    200: ("GET", "/api/plans", b"", {}),
    202: ("POST", "/api/alerts", None, {}),
    400: ("POST", PAUSE, b"{oops", {}),
    403: ("GET", "/api/plans", b"", {"Origin": "https://evil.example"}),
    404: ("GET", "/api/plans/other", b"", {}),
    409: ("POST", "/api/plans/contoso/failover", REASON, {}),
    413: ("POST", PAUSE, b" " * (64 * 1024 + 1), {}),
    415: ("POST", PAUSE, ZERO, {"Content-Type": "text/plain"}),
    422: ("POST", PAUSE, REASON, {}),
}


@pytest.mark.parametrize("status", ANSWERS)
def test_no_answer_is_kept_guessed_at_framed_or_sent_in_the_clear(api: Api, status: int) -> None:
    method, path, body, headers = ANSWERS[status]
    answer = api.ask(method, path, api.alert("resource-health", "headers") if body is None else body, headers=headers)
    assert answer.status == status
    kind = "application/json" if status < 400 else "application/problem+json"
    assert answer.headers.get_content_type() == kind
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert int(answer.headers["Strict-Transport-Security"].removeprefix("max-age=")) >= 31536000
    assert [name for name in answer.headers if name.lower().startswith("access-control-")] == []


# The content type of a body


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/plain; charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/json",
        "application/jsonp",
        "json",
    ],
)
@pytest.mark.parametrize("path", [PAUSE, "/api/plans/contoso/drill", "/api/plans/contoso/failover", "/api/alerts"])
def test_refuses_a_body_that_is_not_json_by_its_type(api: Api, path: str, kind: str) -> None:
    """A form on another site can send these without a preflight request, and cannot send JSON."""
    body = api.alert("resource-health", "kind") if path.endswith("alerts") else b'{"reason": "A test"}'
    assert "application/json" in api.ask("POST", path, body, headers={"Content-Type": kind}).problem(415)["detail"]


JSON_KINDS = [
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON",
    "application/problem+json",
    None,
]


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_takes_a_body_that_calls_itself_json_or_nothing(api: Api, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    assert api.ask("POST", PAUSE, ZERO, headers=headers).status == 200
    assert api.ask("POST", "/api/alerts", api.alert("resource-health", f"kind {kind}"), headers=headers).status == 202


def test_a_body_that_is_empty_has_no_type_to_be_wrong(api: Api) -> None:
    """The body reaches the check of its fields."""
    api.ask("POST", PAUSE, b"", headers={"Content-Type": "text/plain"}).problem(422)


def test_nothing_of_all_this_has_started_a_run(api: Api) -> None:
    api.ask("POST", "/api/plans/contoso/drill", REASON, headers={"Content-Type": "text/plain"}).problem(415)
    assert (api.runs(), api.plan()["paused_until"], api.writes()) == ([], None, {})
