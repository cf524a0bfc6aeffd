"""The watch looks at the primary itself: two bad looks start a run, a single one is counted."""

from __future__ import annotations

from typing import Any

from lab.runner import options_of, play
from lab.scenario import PROJECT, Scenario
from shared.models.site_state import SiteState
from shared.plans.loader import load_plan
from shared.store import site_state
from tests.virtual.lab import VirtualLab
from tests.virtual.loop import VirtualLoop, run

FILE = PROJECT / "plans" / "contoso.yaml"


def played(*timeline: dict[str, Any], until: str = "idle") -> tuple[dict[str, Any], SiteState]:
    """The report of a timeline without any alert, and the site's state after it."""
    quiet = {"at": "0s", "do": "monitor.stop"}
    scenario = Scenario.model_validate(
        {"name": "watch", "plan": "plans/contoso.yaml", "timeline": [quiet, *timeline], "until": until, "expect": {}}
    )

    async def main(loop: VirtualLoop) -> tuple[dict[str, Any], SiteState]:
        async with VirtualLab(load_plan(FILE), FILE, options_of(scenario, speed=1.0), loop) as lab:
            report = await play(lab, scenario, PROJECT, lambda at, text: None)
            return report, await site_state.read_state("contoso")

    return run(main)


def test_an_outage_is_noticed_without_an_alert_and_the_confirmation_counts_from_the_first_look() -> None:
    report, _ = played({"at": "65s", "do": "site.stop", "target": "primary"})
    (found,) = report["runs"]
    assert (found["trigger"], found["outcome"]) == ("watch", "succeeded")
    assert found["started_at"] - 65 <= 35, (
        "two looks, twenty seconds between the watch's rounds and ten between the looks"
    )
    decided = next(
        s["ended_at"] for s in found["steps"] if (s["name"], s["target"]) == ("gather_evidence", "confirming")
    )
    assert decided - 65 <= 20 + 90 + 10


def test_blips_start_no_run_and_one_that_the_watch_saw_is_counted() -> None:
    """Nine seconds of silence, at every quarter of the watch's round."""
    counted = 0
    for at in range(65, 85, 5):
        report, state = played(
            {"at": f"{at}s", "do": "site.stop", "target": "primary"},
            {"at": f"{at + 9}s", "do": "site.start", "target": "primary"},
            until="5m",
        )
        assert report["runs"] == []
        assert (state.short_failure_at is not None) == bool(state.short_failures)
        counted += state.short_failures
    assert counted >= 1


def test_a_path_that_still_answers_is_no_bad_look() -> None:
    report, state = played({"at": "65s", "do": "network.cut", "path": "private"}, until="5m")
    assert (report["runs"], state.short_failures) == ([], 0)
