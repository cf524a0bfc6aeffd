"""Observe mode records later whether a failover would have been right, through the real app."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from shared.models.runs import Hindsight
from tests.app.api import Api
from tests.plans import contoso_with
from tests.waiting import LIMIT, wait_until

OBJECTIVE = 4.0
"""Real seconds assumed for a failover until a drill has measured it."""

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    objective = f"{round(OBJECTIVE * 60)}s"
    plan = contoso_with(
        {"detection.mode": "observe", "objectives.recovery_time": objective, "detection.cooldown": objective}
    )
    with Api(plan, "housekeeping") as api:
        yield api


def primary(api: Api, monitor: str) -> None:
    seen = lambda: api.lab.traffic.endpoints["on-premises"].monitor == monitor  # noqa: E731
    wait_until(lambda: api.on_loop(seen), LIMIT, f"Traffic Manager says {monitor}")


@pytest.fixture
def observed(api: Api) -> Iterator[str]:
    """A run that has observed an outage, which still lasts."""
    api.post("/api/plans/contoso/pause", {"for": "0s", "reason": "the next look is due now"})
    api.perform("site.stop", target="primary")
    primary(api, "Degraded")
    answer = api.post("/api/alerts", api.alert("traffic-manager-fired", f"outage-{next(_NUMBERS)}"))
    run = api.finished(answer.json["run_id"])
    assert (run["outcome"], run["hindsight"]) == ("observed", None)
    yield str(run["run_id"])
    api.perform("site.start", target="primary")
    primary(api, "Online")


def judged(api: Api, run_id: str) -> Hindsight:
    def found() -> Any:
        api.housekeeping()
        return api.read(run_id)["hindsight"]

    return Hindsight.model_validate(wait_until(found, LIMIT, "housekeeping judges the run"))


def test_a_primary_that_is_soon_back_would_have_made_it_a_mistake(api: Api, observed: str) -> None:
    api.perform("site.start", target="primary")
    primary(api, "Online")
    hindsight = judged(api, observed)
    assert (hindsight.back, hindsight.right, hindsight.failover_takes) == (True, False, OBJECTIVE)
    assert 0 < hindsight.out_for <= OBJECTIVE
    assert hindsight.sentence(60).startswith("A failover would have been a mistake: the primary site was back ")


def test_a_primary_that_stays_out_for_longer_than_a_failover_takes_would_have_made_it_right(
    api: Api, observed: str
) -> None:
    ended = datetime.fromisoformat(api.read(observed)["ended_at"])
    longer = timedelta(seconds=OBJECTIVE)
    wait_until(lambda: datetime.now(UTC) - ended > longer, LIMIT, "it was out for longer than a failover takes")
    hindsight = judged(api, observed)
    assert (hindsight.back, hindsight.right) == (False, True)
    assert hindsight.out_for > OBJECTIVE
    assert hindsight.sentence(60).startswith("A failover would have been right: the primary site was still not back ")


def test_what_was_judged_once_stays_and_no_seal_breaks(api: Api, observed: str) -> None:
    api.perform("site.start", target="primary")
    primary(api, "Online")
    first = judged(api, observed)
    api.housekeeping()
    assert judged(api, observed) == first
    assert api.history_intact()
