"""Who is told of a question, and when it is not escalated any more."""

from __future__ import annotations

from typing import Any

from lab.runner import options_of, play
from lab.scenario import PROJECT, Scenario
from tests.plans import contoso_with
from tests.virtual.lab import VirtualLab
from tests.virtual.loop import VirtualLoop, run

FILE = PROJECT / "plans" / "contoso.yaml"
PLAN = {
    "detection.mode": "approve",
    "detection.approval": {"deadline": "2h"},
    "escalation": [{"to": "DEPUTY_URL", "after": "10m"}, {"to": "MANAGER_URL", "after": "20m"}],
}


def escalation(*timeline: dict[str, Any], until: str = "40m") -> tuple[list[str], dict[str, Any]]:
    """The titles of the messages in order, and the report."""
    dies = {"at": "10s", "do": "site.stop", "target": "primary"}
    scenario = Scenario.model_validate(
        {"name": "asked", "plan": "plans/contoso.yaml", "timeline": [dies, *timeline], "until": until, "expect": {}}
    )

    async def main(loop: VirtualLoop) -> tuple[list[str], dict[str, Any]]:
        async with VirtualLab(contoso_with(PLAN), FILE, options_of(scenario, speed=1.0), loop) as lab:
            report = await play(lab, scenario, PROJECT, lambda at, text: None)
            return [message["title"] for message in lab.front.notifications], report

    return run(main)


def test_a_question_that_no_person_takes_on_goes_to_one_address_after_another_once() -> None:
    titles, report = escalation()
    (asked,) = [run for run in report["runs"] if run["phase"] == "waiting_for_approval"]
    escalated = [title for title in titles if title.startswith("Unanswered for")]
    run_id = asked["run_id"]
    assert [title.split(":")[1] for title in escalated] == [f" Contoso web shop (run {run_id})"] * 2
    assert escalated[0].startswith("Unanswered for 10 min")
    assert escalated[1].startswith("Unanswered for 20 min")


def test_a_person_who_is_on_it_ends_the_escalation_and_is_named() -> None:
    on_it = {"at": "15m", "do": "operator.acknowledge", "by": "kim", "reason": "I look", "answer": 202}
    titles, _ = escalation(on_it)
    assert sum(title.startswith("Unanswered for") for title in titles) == 1


def test_nothing_is_acknowledged_where_nothing_is_asked() -> None:
    approved = {"at": "5m", "do": "operator.approve", "answer": 202}
    late = {"at": "6m", "do": "operator.acknowledge", "answer": 409}
    titles, report = escalation(approved, late)
    assert not [title for title in titles if title.startswith("Unanswered for")]
    assert report["failures"] == []
