"""How long earlier runs took replaces what the plan expects."""

from __future__ import annotations

from datetime import timedelta

from shared.models.steps import Step
from shared.policy.learned import KEPT, as_learned, durations_of, with_one_more
from shared.policy.timeline import expected_duration
from tests.plans import contoso
from tests.unit.rounds import START


def step(name: str, target: str, begins: float, ends: float, **more: object) -> Step:
    """Azure's own clock says two seconds less than what Coldsite saw."""
    times: dict[str, object] = {
        "started_at": START + timedelta(seconds=begins),
        "ended_at": START + timedelta(seconds=ends),
    }
    if name != "probe_workload":
        times["took"] = ends - begins - 2
    return Step.model_validate({"name": name, "target": target, "status": "succeeded", "attempts": 1} | times | more)


STEPS = [
    step("freeze_replication", "replica", 0, 33),
    step("take_recovery_point", "set-1", 33, 40),
    step("create_disk", "sql/os", 40, 45),
    step("create_disk", "sql/data0", 40, 47),
    step("create_machine", "sql", 47, 107),
    step("create_machine", "iis", 47, 100),
    step("probe_workload", "sql", 107, 407, attempts=30),
    step("probe_workload", "iis", 407, 409, attempts=3),
]


def test_the_longest_of_each_kind_counts_and_a_boot_that_was_held_back_does_not() -> None:
    expected = {"run_command": 31.0, "snapshot": 5.0, "disk": 5.0, "machine": 58.0, "boot/sql": 300.0}
    assert durations_of(STEPS) == expected


def test_a_step_that_was_cut_off_or_failed_teaches_nothing() -> None:
    odd = [
        step("create_machine", "sql", 47, 500, attempts=2),
        step("create_disk", "sql/os", 40, 400, status="failed"),
        step("create_disk", "sql/data0", 40, 400, took=None),
        step("probe_workload", "sql", 500, 900, attempts=9),
    ]
    assert durations_of(odd) == {}


def test_the_newest_runs_count() -> None:
    known: dict[str, list[float]] = {}
    for seconds in range(KEPT + 5):
        known = with_one_more(known, {"machine": float(seconds)})
    assert known == {"machine": [float(seconds) for seconds in range(5, KEPT + 5)]}


def test_the_median_replaces_what_the_plan_expects() -> None:
    """One run on a bad day does not change the expectation."""
    learned = as_learned(contoso(), {"machine": [90.0, 80.0, 900.0], "boot/sql": [400.0], "boot/gone": [1.0]})
    assert learned.recovery.expected.machine == timedelta(seconds=90)
    assert learned.recovery.workloads["sql"].expected_boot == timedelta(seconds=400)
    assert learned.recovery.workloads["iis"] == contoso().recovery.workloads["iis"]
    assert expected_duration(learned) > expected_duration(contoso())


def test_without_earlier_runs_the_plan_stands() -> None:
    assert as_learned(contoso(), {}) == contoso()
