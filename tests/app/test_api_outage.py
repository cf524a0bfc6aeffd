"""The HTTP API while the history's storage is unavailable, and after it is back."""

from __future__ import annotations

from tests.app.api import Api
from tests.app.test_api import CALLS
from tests.waiting import LIMIT, wait_until


def test_without_storage_every_route_says_try_again_and_goes_on_afterwards(api: Api) -> None:
    # The OpenAPI document needs no history, nor does a test message; a check probes the sites; the recovery points and
    # the picture of a screen are read from Azure.
    apart = ("alerts", "openapi.json", "check", "points", "notify", "/screens/sql")
    calls = [(method, path) for method, path in CALLS if not path.endswith(apart)]
    with api.without_storage():
        answers = {(method, path): api.ask(method, path, _body(path)) for method, path in calls}
        answers["POST", "/api/alerts"] = api.post("/api/alerts", api.alert("traffic-manager-fired", "away"))
    for answer in answers.values():
        assert answer.problem(503)["title"] == "Service unavailable"
        assert int(answer.headers["Retry-After"]) > 0
    assert api.get("/api/plans/contoso").json["active_run"] is None
    assert (api.runs(), api.writes()) == ([], {})


def test_a_check_needs_no_history(api: Api) -> None:
    with api.without_storage():
        assert {evidence["signal"] for evidence in api.get("/api/plans/contoso/check").json["evidence"]} >= {
            "public",
            "vpn",
        }


def _body(path: str) -> object:
    if path.endswith("pause"):
        return {"for": "1h", "reason": "x"}
    if path.endswith("settle"):
        return {"served_from": "primary", "reason": "x"}
    return {"reason": "x"} if path.endswith(("failover", "drill", "failback")) else b""


def test_a_run_goes_on_after_an_outage_of_storage(api: Api) -> None:
    with api.started("drill") as run_id:
        wait_until(lambda: api.step(run_id, "freeze_replication"), LIMIT, "the drill freezes the replica")
        with api.without_storage():
            api.get(f"/api/runs/{run_id}").problem(503)
            api.post(f"/api/runs/{run_id}/abort").problem(503)
            api.post("/api/plans/contoso/drill", {"reason": "Another"}).problem(503)
        wait_until(lambda: api.get(f"/api/runs/{run_id}").status == 200, 8.0, "the history is readable again")
        assert api.post(f"/api/runs/{run_id}/abort").status == 202
        assert api.finished(run_id)["outcome"] == "aborted"
    assert api.left_over() == []
    assert not api.lab.replication.frozen
