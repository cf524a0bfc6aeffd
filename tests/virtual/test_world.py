"""What the lab's world does, seen over whole stories that would take minutes in the lab."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from lab.templates.standing import grants_of
from tests.plans import contoso
from tests.virtual.lab import VirtualLab
from tests.virtual.play import SCENARIOS, played

BY_PEOPLE = {"Microsoft.Compute/virtualMachines/retrieveBootDiagnosticsData/action"}
"""What only people ask for, on the page: the picture of a screen."""
STORY = """
name: a drill, then a disaster, then the way home
plan: plans/contoso.yaml
speed: 40
plan_overrides: {traffic: {recovery: {type: azureEndpoints}}, drill: {keep_for: 10s}}
times: {machine: 1000}
timeline:
  - {at: 10s, do: operator.drill}
  - {at: 70m, do: site.stop, target: primary}
  - {at: 70m, do: arm.fault, operation: PUT virtualMachines, error: AllocationFailed}
  - {at: 70m, do: worker.kill, when: "during:create_machine", write: azure}
  - {at: 110m, do: site.start, target: primary}
  - {at: 112m, do: home.copy, state: start}
  - {at: 114m, do: operator.failback, reason: home is repaired, answer: 202}
  - {at: 120m, do: operator.approve, answer: 202}
  - {at: 142m, do: operator.commit, answer: 202}
  - {at: 144m, do: timer.fire, function: sweep_readiness}
until: 150m
expect:
  active_site: primary
  runs: {drill: {succeeded: 1}, failover: {succeeded: 1}, failback: {succeeded: 1}}
"""

SLOW_DNS = """
name: the name servers keep their answers
plan: plans/contoso.yaml
times: {dns_push: 100000}
timeline:
  - {at: 30s, do: site.stop, target: primary}
expect: {active_site: recovery, customers: {served_by: {recovery_at_least: 1}}}
"""


def play(folder: Path, text: str) -> dict[str, Any]:
    file = folder / "story.yaml"
    file.write_text(text)
    return played(file)


def test_customers_follow_dns_so_an_unchanged_answer_fails_the_scenario(tmp_path: Path) -> None:
    """The endpoints are switched, but no customer reaches Azure, and the report shows it."""
    report = play(tmp_path, SLOW_DNS)
    assert not report["passed"]
    assert report["customers"]["served_by"]["recovery"] == 0
    assert report["runs"][0]["phase"] == "needs_operator"
    assert "does not resolve to the recovery site yet" in report["runs"][0]["verdict"]


def test_the_whole_life_of_a_plan_needs_every_permission_and_nothing_outside_them(tmp_path: Path) -> None:
    """A call outside a role is answered 403 by the lab, and the scenario would fail.

    The machine takes so long to fail that the new worker finds it in the making, and must look why it failed.
    """
    report = play(tmp_path, STORY)
    assert report["failures"] == []
    given = {(grant.scope, action) for grant in grants_of(contoso()) for action in grant.actions}
    assert {tuple(call) for call in report["arm_calls"]["permissions"]} == {
        call for call in given if call[1] not in BY_PEOPLE
    }


LEARNED = """
name: a drill teaches the failover after it
plan: plans/contoso.yaml
plan_overrides: {drill: {keep_for: 10s}, recovery: {workloads: {sql: {expected_boot: 45m}}}}
timeline:
  - {at: 10s, do: operator.drill, answer: 202}
  - {at: 90m, do: site.stop, target: primary}
expect: {active_site: recovery, runs: {drill: {succeeded: 1}, failover: {succeeded: 1}}}
"""


def test_a_failover_expects_what_the_drill_before_it_took(tmp_path: Path) -> None:
    """The plan expects a boot of 45 minutes, so that the drill probes seldom; the failover knows better."""
    report = play(tmp_path, LEARNED)
    assert report["failures"] == []
    drill, failover = (_boot_of(run) for run in report["runs"])
    assert failover < drill - 60


def _boot_of(run: dict[str, Any]) -> float:
    probed = next(step for step in run["steps"] if (step["name"], step["target"]) == ("probe_workload", "sql"))
    return float(probed["ended_at"] - probed["started_at"])


def test_a_world_is_forgotten_when_it_ends() -> None:
    """Otherwise hundreds of scenarios in one process become slower and slower."""
    before = _worlds()
    assert played(SCENARIOS / "operator-failover.yaml")["passed"]
    assert _worlds() == before


def _worlds() -> int:
    gc.collect()
    return sum(isinstance(thing, VirtualLab) for thing in gc.get_objects())
