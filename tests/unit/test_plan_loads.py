"""Valid plans: their values, their round trips, and what makes two of them differ."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.models.errors import PlanError
from shared.models.plan import RecoveryPlan
from shared.plans.loader import SCRIPTS, load_plan, load_plans
from shared.policy.learned import as_learned
from tests.plans import PLANS, REMOVED, contoso, contoso_with


def test_contoso_loads_with_the_texts_of_its_files() -> None:
    plan = load_plans(PLANS)["contoso"]
    assert plan.detection.paths == {"public", "private", "agent"}
    assert plan.detection.confirm_for == timedelta(seconds=90)
    assert set(plan.replication.script_texts) == set(SCRIPTS)
    assert plan.query_texts["heartbeat.kql"] == (PLANS / "contoso" / "heartbeat.kql").read_text()
    assert [label for label, _ in plan.workload_disks("sql")] == ["os", "data0"]


def test_trust_off_and_notify_on_mean_what_they_say() -> None:
    assert contoso().detection.trust is None
    assert contoso().notify[0].on == ["started", "decided", "needs_operator", "served", "finished"]


@pytest.mark.parametrize(("value", "means"), [(True, True), (False, False), (REMOVED, False)])
def test_the_primary_is_locked_out_again_only_where_the_plan_says_so(value: Any, means: bool) -> None:
    assert contoso_with({"traffic.latch_again": value}).traffic.latch_again is means


def test_azures_own_health_is_no_path_to_the_primary() -> None:
    assert contoso().detection.signals["azure"].role == "recovery"
    assert contoso_with({"detection.signals.azure": REMOVED}).detection.paths == contoso().detection.paths


@pytest.mark.parametrize("mode", ["observe", "approve"])
def test_a_plan_without_scripts_loads_where_a_person_decides(mode: str) -> None:
    plan = contoso_with({"replication.scripts": REMOVED, "detection.mode": mode})
    assert plan.replication.script_texts == {}


def test_one_path_is_enough_for_a_plan_that_asks_a_person() -> None:
    changes = {"detection.signals": {"traffic": {"path": "public", "traffic_manager": {}}}, "detection.quorum": 1}
    assert contoso_with(changes | {"detection.mode": "approve"}).detection.paths == {"public"}


def test_a_plan_survives_json_with_the_same_hash() -> None:
    text = json.dumps(contoso().model_dump(mode="json"))
    again = RecoveryPlan.model_validate(json.loads(text))
    assert again == contoso()
    assert again.hash == contoso().hash


@pytest.mark.parametrize(
    "changes",
    [{"detection.confirm_for": "91s"}, {"title": "Other"}, {"recovery.workloads.sql.sizes": ["Standard_D8s_v5"]}],
)
def test_another_plan_has_another_hash(changes: dict[str, Any]) -> None:
    assert contoso_with(changes).hash != contoso().hash


@pytest.mark.parametrize(
    ("changes", "proven"),
    [
        ({"title": "Another shop"}, True),
        ({"detection.confirm_for": "2m"}, True),
        ({"recovery.probe": {"interval": "9s"}}, True),
        ({"recovery.workloads.sql.expected_boot": "9m"}, True),
        ({"recovery.prepare": "when_confirmed"}, True),
        ({"recovery.workloads.sql.sizes": ["Standard_D8s_v5"]}, False),
        ({"recovery.location": "northeurope"}, False),
        ({"traffic.latch_again": False}, True),
        ({"replication.pause_limit": "9m"}, True),
        ({"fence": {"hook": "FENCE_HOOK"}}, False),
    ],
)
def test_a_drill_proves_the_plans_that_recover_the_same(changes: dict[str, Any], proven: bool) -> None:
    assert (contoso_with(changes).recovery_hash == contoso().recovery_hash) is proven


def test_what_earlier_runs_took_changes_nothing_of_what_a_drill_proves() -> None:
    assert as_learned(contoso(), {"machine": [1.0], "boot/sql": [2.0]}).recovery_hash == contoso().recovery_hash


def test_a_script_that_changes_changes_the_hash(folder: Path) -> None:
    before = load_plan(folder / "contoso.yaml").hash
    (folder / "contoso" / "freeze.ps1").write_text("exit 0")
    assert load_plan(folder / "contoso.yaml").hash != before


def test_equal_durations_spelt_differently_are_one_plan() -> None:
    assert contoso_with({"detection.confirm_for": "1m30s"}).hash == contoso().hash


def test_a_loss_limit_of_nothing_is_no_default() -> None:
    with pytest.raises(PlanError, match=r"loss_limit: 0s is shorter than replication\.look_every"):
        contoso_with({"detection.loss_limit": "0s"})
    assert contoso().loss_limit == 4 * contoso().objectives.recovery_point
