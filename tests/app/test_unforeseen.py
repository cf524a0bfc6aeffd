"""An unforeseen error is answered, too, so that an action group sends its alert again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.app.api import Api


@contextmanager
def unreadable_state(api: Api) -> Iterator[None]:
    """The state's row was edited by hand and is no JSON."""
    api.plan()
    api.post("/api/plans/contoso/pause", {"for": "0s", "reason": "so that there is a row"})
    api.change_state(warnings="{half a")
    try:
        yield
    finally:
        api.change_state(warnings="{}")


def test_an_alert_that_meets_the_unforeseen_is_asked_for_again(api: Api) -> None:
    """An action group drops an alert on 500, and sends it again on 503."""
    body = api.alert("traffic-manager-fired", "in a bad moment")
    with unreadable_state(api):
        answer = api.post("/api/alerts", body)
        problem = answer.problem(503)
    assert problem["title"] == "Service unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    assert "Unexpected error (JSONDecodeError). See Coldsite's log." in problem["detail"]
    for secret in ("half a", "Traceback", ".py"):
        assert secret not in answer.text
    assert "Coldsite failed: unexpected error" in api.log()
    again = api.post("/api/alerts", body)
    assert again.status == 202
    assert api.finished(again.json["run_id"])["trigger"] == "alert"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/plans/contoso", b""),
        ("GET", "/api/plans", b""),
        ("POST", "/api/plans/contoso/drill", {"reason": "x"}),
        ("POST", "/api/plans/contoso/failover", {"reason": "x", "acknowledge_primary_healthy": True}),
    ],
)
def test_every_answer_to_people_is_a_problem_document_too(api: Api, method: str, path: str, body: object) -> None:
    with unreadable_state(api):
        assert "Unexpected error" in api.ask(method, path, body).problem(503)["detail"]
