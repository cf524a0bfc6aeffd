"""Machines boot together and are judged in order; ``start: after`` and ``created`` hold the start back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.virtual.play import played


def steps(folder: Path, **iis: Any) -> dict[tuple[str, str], tuple[float, float]]:
    """When each step of a failover began and ended, in simulated seconds, by name and target."""
    scenario = {
        "name": "how machines start",
        "plan": str(Path(__file__).parents[2] / "plans" / "contoso.yaml"),
        "plan_overrides": {"recovery": {"workloads": {"iis": iis}}},
        "timeline": [
            {"at": "10s", "do": "site.stop", "target": "primary"},
            {"at": "20s", "do": "operator.failover", "reason": "the site is dead"},
        ],
        "expect": {"active_site": "recovery", "runs": {"failover": {"succeeded": 1}}},
    }
    path = folder / "start.yaml"
    path.write_text(yaml.safe_dump(scenario))
    report = played(path)
    assert report["passed"], report["failures"]
    (run,) = report["runs"]
    return {(step["name"], step["target"]): (step["started_at"], step["ended_at"]) for step in run["steps"]}


def test_a_web_server_boots_beside_its_database_and_is_judged_after_it(tmp_path: Path) -> None:
    seen = steps(tmp_path, depends_on={"sql": "healthy"})
    assert seen["create_machine", "iis"][0] < seen["create_machine", "sql"][1]
    assert seen["probe_workload", "iis"][0] >= seen["probe_workload", "sql"][1]


@pytest.mark.parametrize(
    ("iis", "step"),
    [
        ({"depends_on": {"sql": "healthy"}, "start": "after"}, "probe_workload"),
        ({"depends_on": {"sql": "created"}}, "create_machine"),
    ],
    ids=["after", "created"],
)
def test_a_machine_that_must_wait_is_created_later(tmp_path: Path, iis: dict[str, Any], step: str) -> None:
    seen = steps(tmp_path, **iis)
    assert seen["create_machine", "iis"][0] >= seen[step, "sql"][1]
