"""Unusual behaviour in a timeline: SQL Server for the probe only, Azure's messages, tags, hooks, the replica,
schedules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from cli.main import app
from lab.plan_copy import Ports, write_copy
from lab.scenario import Event, Scenario, ScenarioError
from lab.site.hooks import FENCE
from shared.plans.loader import load_plan
from tests.app.api import Api
from tests.plans import CONTOSO, contoso
from tests.waiting import LIMIT, wait_until


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api(None, "take_recovery_points", "start_drills", "housekeeping") as api:
        yield api


def check(api: Api) -> dict[str, dict[str, Any]]:
    answer = api.get("/api/plans/contoso/check")
    assert answer.status == 200, answer.text
    return {item["signal"]: item for item in answer.json["evidence"]}


def command(api: Api, *words: str) -> str:
    url = api.lab.functions.url
    key = api.lab.credentials()["x-functions-key"]
    done = CliRunner().invoke(app, ["--url", url, "--key", key, *words])
    assert done.exit_code == 0, (done.output, done.exception)
    return " ".join(done.output.split())


# sql.odd


SAID = {
    "password": ({"password": "changed"}, "refused the login"),
    "login_number": ({"login_number": 18487}, "(error 18487)"),
    "use_number": (
        {"use_number": 916, "use_text": "The principal has no user here."},
        "The principal has no user here.",
    ),
}


@pytest.mark.parametrize(("odd", "words"), SAID.values(), ids=SAID)
def test_a_database_that_refuses_the_probe_alone_is_no_data_while_the_shop_serves(
    api: Api, odd: dict[str, Any], words: str
) -> None:
    api.perform("sql.odd", target="primary/sql", **odd)
    try:
        found = check(api)
    finally:
        api.perform("sql.odd", target="primary/sql", login_number=0, use_number=0)
    assert (found["vpn"]["state"], found["vpn"]["spoke"]) == ("no_data", True)
    assert words in found["vpn"]["detail"]
    assert found["public"]["state"] == "up"
    assert check(api)["vpn"]["state"] == "up"


def test_a_refusal_that_sql_server_does_not_have_is_refused_with_those_that_it_has(api: Api) -> None:
    with pytest.raises(ScenarioError, match=r"login_number: 1 is not one of .*18456"):
        api.perform("sql.odd", target="primary/sql", login_number=1)


@pytest.mark.parametrize("field", ["login_number", "use_number", "query_number"])
def test_a_number_that_is_none_is_refused_before_anything_starts(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field}: 'many' is not a number"):
        Event.model_validate({"at": "0s", "do": "sql.odd", "target": "primary/sql", field: "many"})


# The command's view of a running lab


def test_check_and_points_say_what_a_running_site_is_like(api: Api) -> None:
    # A heartbeat comes once a simulated minute, which is a second here: a busy machine can miss one.
    wait_until(lambda: command(api, "check", "contoso").endswith("The primary site answers."), LIMIT, "all is well")
    assert command(api, "points", "contoso").startswith("There is no recovery point yet.")
    assert "customers are sent to the primary site" in command(api)


def test_check_names_what_cannot_be_seen_and_what_to_correct(api: Api) -> None:
    api.perform("sql.odd", target="primary/sql", password="changed")
    try:
        output = command(api, "check", "contoso")
    finally:
        api.perform("sql.odd", target="primary/sql", login_number=0)
    assert output.endswith("No data from vpn: fix the problem on its line.")
    assert "(error 18456)" in output


# arm.body


@pytest.mark.parametrize(("way", "later"), [(None, False), ("sync", False), ("async", True)])
def test_azure_refuses_in_any_words_at_once_or_later(api: Api, way: str | None, later: bool) -> None:
    details = {"operation": "PUT disks", "status": 500, "code": "InternalServerError", "message": "Please retry later."}
    api.perform("arm.body", **details | ({"as": way} if way else {}))
    fault = api.on_loop(lambda: api.lab.arm.faults.take("PUT", {"disks"}, None))
    api.perform("arm.heal")
    assert fault
    assert (fault.status, fault.error, fault.message, fault.later) == (
        500,
        "InternalServerError",
        "Please retry later.",
        later,
    )


def test_words_for_an_operation_that_there_is_not_are_refused(api: Api) -> None:
    with pytest.raises(ScenarioError, match="is not one of"):
        api.perform("arm.body", operation="PUT diskettes", status=500, code="X", message="Y")


# tags.lose, replication.state


NOT_THERE = {"nonsense": 409, "before:2020-01-01T00:00:00Z": 409, "before:yesterday": 422, "two words": 422}
"""Unavailable recovery points, with the status of the refusal: none of them may start a run."""


def test_a_recovery_point_is_listed_until_it_loses_a_tag_and_no_other_can_be_asked_for(api: Api) -> None:
    api.run(api.lab.functions.fire("take_recovery_points"))
    points = lambda: api.get("/api/plans/contoso/points").json["points"]  # noqa: E731
    (taken,) = wait_until(points, LIMIT, "a recovery point is taken")
    assert taken["id"] in command(api, "points", "contoso")
    assert taken["data_until"] <= taken["taken_at"]
    for wanted, status in NOT_THERE.items():
        refused = api.post("/api/plans/contoso/failover", {"reason": "A test", "recovery_point": wanted}).problem(
            status
        )
        assert status == 422 or taken["id"] in refused["detail"]
        assert status == 422 or "`coldsite points contoso` lists them" in refused["detail"]
    assert api.runs("?plan=contoso&kind=failover") == []
    api.perform("tags.lose", tag="coldsite-disk")
    assert points() == []


def test_a_replica_of_which_nothing_is_known_is_told_as_unknown(api: Api) -> None:
    def unknown() -> dict[str, Any] | None:
        api.housekeeping()  # The next check is due when the last one is old enough.
        found: dict[str, Any] = api.plan()["replica"]
        return found if found["state"] == "unknown" and found["looked_at"] else None

    api.perform("replication.state", state="unknown")
    try:
        replica = wait_until(unknown, LIMIT, "the replica is looked at")
    finally:
        api.perform("replication.state", state="good")
    assert replica["connected"] is None
    assert "its state is unknown" in command(api, "plan", "show", "contoso")


# hook.respond


def call_hook(api: Api, action: str) -> int:
    async def post() -> int:
        url = api.lab.hooks.addresses(api.lab.front.plain_url)[FENCE]
        async with aiohttp.ClientSession() as session, session.post(url, json={"action": action}) as response:
            return response.status

    return asyncio.run(post())


def writes_are_stopped(api: Api) -> bool:
    server = api.lab.sites.primary_sql
    assert server
    return api.on_loop(lambda: server.read_only)


def test_the_fence_stops_and_resumes_the_sources_writes(api: Api) -> None:
    assert (call_hook(api, "stop"), writes_are_stopped(api)) == (200, True)
    assert (call_hook(api, "resume"), writes_are_stopped(api)) == (200, False)


@pytest.mark.parametrize(
    ("behaviour", "status"), [({"status": 500}, 500), ({"effect": False}, 200), ({"effect": "false"}, 200)]
)
def test_a_fence_that_fails_or_lies_stops_nothing(api: Api, behaviour: dict[str, Any], status: int) -> None:
    api.perform("hook.respond", hook="fence", **behaviour)
    try:
        assert (call_hook(api, "stop"), writes_are_stopped(api)) == (status, False)
    finally:
        api.perform("hook.respond", hook="fence")


def test_a_fence_that_cannot_reach_the_source_says_so(api: Api) -> None:
    api.perform("network.cut", path="private")
    try:
        assert (call_hook(api, "stop"), writes_are_stopped(api)) == (502, False)
    finally:
        api.perform("network.heal", path="private")


def test_a_hook_that_there_is_not_is_refused(api: Api) -> None:
    with pytest.raises(ScenarioError, match="is not one of fence"):
        api.perform("hook.respond", hook="moat", status=500)


# Alerts, answers, schedules


def test_a_log_alert_as_azure_shapes_it_is_taken_for_the_plan_that_it_names(api: Api) -> None:
    answer = api.post("/api/alerts", api.alert("log-alert-fired", "odd-actions-1"))
    assert answer.status == 202, answer.text
    run_id = answer.json["run_id"]
    assert api.read(run_id)["trigger"] == "alert"
    api.post(f"/api/runs/{run_id}/abort")
    assert api.finished(run_id)["kind"] == "failover"


def test_a_run_that_asks_nothing_cannot_be_told_to_proceed(api: Api) -> None:
    Event.model_validate({"at": "0s", "do": "operator.proceed", "reason": "Yes"})
    with api.started("drill") as run_id:
        refused = api.post(f"/api/runs/{run_id}/proceed").problem(409)
    assert "asks whether to proceed" in refused["detail"]


@pytest.mark.parametrize("real", [True, False])
def test_schedules_hold_as_written_only_where_a_scenario_wants_them(tmp_path: Path, real: bool) -> None:
    copy = load_plan(write_copy(contoso(), CONTOSO, tmp_path, 60.0, Ports(1, 2, 3), real_schedules=real))
    assert (copy.drill.schedule == contoso().drill.schedule) is real
    assert Scenario.model_validate({"name": "x", "plan": str(CONTOSO), "real_schedules": real}).real_schedules is real
