"""The forecast, and rehearsals of the calls that start something: they say what would happen, and start nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.policy.timeline import expected_duration
from tests.app.api import Api
from tests.plans import contoso

FAILOVER = "/api/plans/contoso/failover?what_if=true"


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api(None, "housekeeping") as api:
        yield api


def rehearsed(api: Api, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(path, body)
    assert answer.status == 200, answer.text
    assert (api.runs(), api.writes()) == ([], {})
    found: dict[str, Any] = answer.json
    return found


def test_the_forecast_says_how_long_it_takes_and_what_it_does(api: Api) -> None:
    found = api.get("/api/plans/contoso/forecast").json
    real = expected_duration(contoso()).total_seconds() / api.lab.clock.speed
    assert found["expected_seconds"] == pytest.approx(real, rel=0.05), "the lab divides every wait by its speed"
    assert found["steps"][-1]["name"] == "enable_recovery"
    assert found["does"][1] == "Build sql (Standard_D4s_v5), iis (Standard_D2s_v5)."
    assert (found["blockers"], found["measured_seconds"]) == ([], None)


def test_a_rehearsed_failover_of_a_primary_that_serves_names_the_refusal(api: Api) -> None:
    found = rehearsed(api, FAILOVER, {"reason": "A rehearsal"})
    assert any("The primary site is serving traffic." in blocker for blocker in found["blockers"])
    acknowledged = rehearsed(api, FAILOVER, {"reason": "A rehearsal", "acknowledge_primary_healthy": True})
    assert acknowledged["blockers"] == []


def test_a_rehearsal_names_a_recovery_point_that_does_not_exist(api: Api) -> None:
    body = {"reason": "A rehearsal", "acknowledge_primary_healthy": True, "recovery_point": "latest_good"}
    (blocker,) = rehearsed(api, FAILOVER, body)["blockers"]
    assert blocker.startswith("No recovery point matches 'latest_good'.")


def test_a_rehearsed_drill_touches_nothing(api: Api) -> None:
    found = rehearsed(api, "/api/plans/contoso/drill?what_if=true", {"reason": "A rehearsal"})
    assert (found["kind"], found["blockers"]) == ("drill", [])
    assert "customers are not touched" in found["does"][-2]
    assert "are billed while they exist" in found["does"][-1]
    assert "enable_recovery" not in {step["name"] for step in found["steps"]}


def test_bad_input_is_refused_in_a_rehearsal_too(api: Api) -> None:
    assert api.post(FAILOVER, {}).status == 422
