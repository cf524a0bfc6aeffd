"""Whether a planned failover can guarantee to lose nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.models.looks import ReplicaLook
from shared.policy.planned import never_drains, planned_limitation
from tests.plans import REMOVED, contoso_data, contoso_with

FENCE = {"fence": {"hook": "FENCE_HOOK"}}
QUERY = "recovery.workloads.sql.probes.0.sql.recovery_point_query"
NO_SCRIPTS = {"replication.scripts": REMOVED, "detection.mode": "approve"}


def test_a_plan_that_can_stop_the_source_and_measure_both_sides_is_not_limited() -> None:
    assert planned_limitation(contoso_with(FENCE)) is None


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        pytest.param({}, ["fence"], id="no fence"),
        pytest.param(FENCE | NO_SCRIPTS, ["replication.scripts"], id="no scripts"),
        pytest.param(FENCE | {QUERY: REMOVED}, ["recovery_point_query"], id="no query"),
        pytest.param(
            FENCE | {"detection.signals.vpn.sql.database": "Other"}, ["recovery_point_query"], id="other base"
        ),
        pytest.param(NO_SCRIPTS, ["fence", "replication.scripts"], id="several"),
    ],
)
def test_says_what_a_plan_lacks_for_it_and_what_to_do_instead(changes: dict[str, Any], names: list[str]) -> None:
    sentence = planned_limitation(contoso_with(changes))
    assert sentence is not None
    keys = ("fence", "replication.scripts", "recovery_point_query")
    assert [key for key in keys if f"{key} " in sentence] == names
    assert sentence.endswith("start an unplanned failover and acknowledge that the primary is serving.")


@pytest.mark.parametrize("point", ["latest_good", "before:2027-01-15T20:00:00Z", "contoso-point-1"])
def test_an_older_recovery_point_is_no_planned_failover(point: str) -> None:
    assert planned_limitation(contoso_with(FENCE), point) == (
        "A planned failover loses nothing, so it needs the latest recovery point. An older one is unplanned."
    )


def test_every_measured_database_needs_a_signal_that_asks_it_at_the_primary() -> None:
    plan = contoso_with(FENCE)
    probe = contoso_data()["recovery"]["workloads"]["sql"]["probes"][0]
    both = [probe, {"sql": probe["sql"] | {"database": "Stock"}}]
    sentence = planned_limitation(contoso_with(FENCE | {"recovery.workloads.sql.probes": both}))
    assert planned_limitation(plan) is None
    assert sentence is not None
    assert "it lacks a sql signal that asks the primary's database stock." in sentence


def test_the_commit_probe_asks_the_primarys_server_with_the_recovered_databases_query() -> None:
    plan = contoso_with({"detection.signals.vpn.sql.database": "ORDERS"})
    (probe,) = plan.commit_probes
    assert (probe.server, probe.database) == ("10.1.0.5", "ORDERS")
    assert probe.recovery_point_query


def test_a_control_signal_is_never_asked_for_the_primarys_commits() -> None:
    plan = contoso_with({"detection.signals.vpn.role": "control", "detection.quorum": 2})
    assert plan.commit_probes == []


def test_a_planned_failover_is_refused_while_nothing_arrives_in_azure() -> None:
    """Its writes would stay stopped for as long as an operation may take, and longer."""
    at = datetime(2027, 1, 15, 20, tzinfo=UTC)
    assert never_drains(None) is None
    assert never_drains(ReplicaLook(at=at, state="good")) is None
    refusal = never_drains(ReplicaLook(at=at, problem="The replica is stopped.")) or ""
    assert refusal.startswith("Replication is unhealthy (The replica is stopped), so a planned failover would stop")
