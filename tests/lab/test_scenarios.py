"""Every scenario passes; wrong expectations and invalid files are distinguished."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.runner import run_scenario
from lab.scenario import PROJECT, ScenarioError, load_scenario
from tests.tags import FILES, tagged

DEAD_PRIMARY = """
name: the primary dies
plan: plans/contoso.yaml
timeline:
  - {at: 30s, do: site.stop, target: primary}
"""


def run(path: Path) -> dict[str, Any]:
    scenario, plan, plan_file = load_scenario(path)
    return asyncio.run(run_scenario(scenario, plan, plan_file, path.parent, None, lambda at, text: None))


def write(folder: Path, text: str) -> Path:
    path = folder / "scenario.yaml"
    path.write_text(text)
    return path


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "cli", "lab", "run", *arguments]
    return subprocess.run(words, capture_output=True, text=True, cwd=PROJECT, timeout=300, check=False)


SMOKE = tagged("smoke")
"""The scenarios of `make test`; `make scenarios` runs every file."""


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=p.stem, marks=() if p in SMOKE else pytest.mark.nightly) for p in FILES]
)
def test_scenario_holds(path: Path) -> None:
    report = run(path)
    assert report["failures"] == []
    assert report["passed"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_our_timelines_read_in_the_order_in_which_they_happen(path: Path) -> None:
    """The lab sorts the timeline; a reader does not. A line out of order is most likely a time that was changed by
    mistake.
    """
    times = [event.at for event in load_scenario(path)[0].timeline]
    assert times == sorted(times)


def test_a_wrong_expectation_fails_with_status_1_and_says_what_differs(tmp_path: Path) -> None:
    text = "name: nothing happens\nplan: plans/contoso.yaml\nuntil: 30s\nexpect: {active_site: recovery, runs: {failover: {succeeded: 1}}}\n"
    done = command(str(write(tmp_path, text)), "--json", str(tmp_path / "report.json"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "active_site: 'recovery' expected, 'primary' found" in done.stdout
    assert "runs.failover.succeeded: 1 expected, 0 found" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["passed"] is False
    assert len(report["failures"]) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nplan: plans/nowhere.yaml\n", "plan: 'plans/nowhere.yaml' is a file neither"),
        ("name: x\n", "plan: Field required"),
        ("name: x\nplan: plans/contoso.yaml\ntimeline: [{at: 5, do: site.stop, target: primary}]\n", "timeline.0.at"),
        ("name: x\nplan: plans/contoso.yaml\ntimeline: [{at: 5s, do: site.explode}]\n", "'site.explode' is not one of"),
        ("name: x\nplan: plans/contoso.yaml\ntimeline: [{at: 5s, do: site.stop}]\n", "site.stop lacks target"),
        ("name: x\nplan: plans/contoso.yaml\ntimeline: [{at: 5s, do: monitor.stop, now: 1}]\n", "takes no now"),
        (
            "name: x\nplan: plans/contoso.yaml\nplan_overrides: {detection: {mode: automattic}}\n",
            "'automattic' is not one of",
        ),
        ("name: [\n", "is not YAML"),
        ("name: x\nplan: plans/contoso.yaml\ntimes: {bot_sql: 3}\n", "bot_sql is not one of"),
        (
            "name: x\nplan: plans/contoso.yaml\ntimeline: [{at: 1s, do: site.stop, target: primry}]\n",
            "'primry' is not one of",
        ),
        (
            "name: x\nplan: plans/contoso.yaml\ntimeline: [{at: 0s, do: arm.fault, operation: PUT machines, error: '500'}]\n",
            "operation 'PUT machines' is not one of ",
        ),
    ],
)
def test_a_bad_file_says_where_with_status_2(tmp_path: Path, text: str, words: str) -> None:
    done = command(str(write(tmp_path, text)))
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("do: arm.fault, operation: PUT disks, error: lost, skip: few", "skip: 'few' is not a number"),
        ("do: arm.fault, operation: PUT disks, error: lost, times: -1", "times: -1 is not a number"),
        ("do: arm.fault, operation: PUT disks", "arm.fault lacks error"),
        ("do: arm.heal, operation: PUT disks", "arm.heal takes no operation"),
        ("do: worker.kill", "worker.kill lacks when"),
        ("do: worker.kill, when: now, for: soon", "needs a number with a unit"),
        ("do: worker.kill, when: 'during:clean_up', write: disk", "write: 'disk' is not one of azure, history"),
        ("do: azure.health, state: bad", "state: 'bad' is not one of trouble, well"),
        ("do: azure.health, state: trouble, region: westeurope", "azure.health takes no region"),
    ],
)
def test_an_event_that_makes_no_sense_is_refused_before_anything_starts(tmp_path: Path, event: str, words: str) -> None:
    file = write(tmp_path, f"name: x\nplan: plans/contoso.yaml\ntimeline: [{{at: 0s, {event}}}]\n")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(file)
    assert str(caught.value).startswith(f"{file}: timeline.0: ")
    assert words in str(caught.value)


def test_without_the_app_customers_are_not_moved(tmp_path: Path) -> None:
    """The lab does not confirm itself: in observe mode all else is equal, and the customers get no site."""
    observe = "plan_overrides: {detection: {mode: observe}}\nexpect: {active_site: primary, runs: {failover: {observed: 1}}}\n"
    report = run(write(tmp_path, DEAD_PRIMARY + observe))
    assert report["failures"] == []
    assert report["customers"]["served_by"]["recovery"] == 0
    assert report["customers"]["failed"] > 0
