"""The expected timeline: what is created at once, what waits, and what each dependency costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from shared.models.plan import RecoveryPlan
from shared.policy.timeline import dependency_costs, expected_duration, expected_timeline
from tests.plans import contoso_with

FREEZE, SNAPSHOT, DISK, MACHINE, BOOT, CONFIRM, CUTOVER = 30, 5, 5, 60, 240, 2, 10
READY = FREEZE + SNAPSHOT + DISK


def plan(iis: dict[str, Any], **more: Any) -> RecoveryPlan:
    expected = {"run_command": "30s", "snapshot": "5s", "disk": "5s", "machine": "60s", "cutover": "10s"}
    boots = {f"recovery.workloads.{name}.expected_boot": "4m" for name in ("sql", "iis")}
    return contoso_with(
        {f"recovery.workloads.iis.{key}": value for key, value in iis.items()}
        | boots
        | {"recovery.expected": expected}
        | more
    )


def begins(found: RecoveryPlan, name: str, target: str) -> float:
    return next(s.begins for s in expected_timeline(found) if (s.name, s.target) == (name, target))


def test_a_workload_that_needs_another_healthy_boots_beside_it() -> None:
    beside = plan({"depends_on": {"sql": "healthy"}})
    assert begins(beside, "create_machine", "iis") == begins(beside, "create_machine", "sql") == READY
    assert expected_duration(beside) == timedelta(seconds=READY + MACHINE + BOOT + 2 * CONFIRM + CUTOVER)
    assert dependency_costs(beside) == {("iis", "sql"): timedelta(seconds=CONFIRM)}


def test_a_workload_that_must_not_boot_before_starts_after_and_it_is_said_what_that_costs() -> None:
    after = plan({"depends_on": {"sql": "healthy"}, "start": "after"})
    assert begins(after, "create_machine", "iis") == READY + MACHINE + BOOT + CONFIRM
    assert dependency_costs(after) == {("iis", "sql"): timedelta(seconds=MACHINE + BOOT + CONFIRM)}


def test_a_workload_that_needs_another_created_starts_when_it_is() -> None:
    created = plan({"depends_on": {"sql": "created"}})
    assert begins(created, "create_machine", "iis") == READY + MACHINE
    assert dependency_costs(created) == {("iis", "sql"): timedelta(seconds=MACHINE)}


def test_without_a_dependency_there_is_no_cost() -> None:
    assert dependency_costs(plan({"depends_on": {}})) == {}
