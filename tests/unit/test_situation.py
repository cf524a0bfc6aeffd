"""The page's one word, one sentence and buttons, by the state of a plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.http.schemas import NewestLook, PlanView, ReplicaView, WaitingRun
from functions.web.situation import situation

NOW = datetime(2027, 1, 15, 20, 0, tzinfo=UTC)
DOWN = NOW - timedelta(minutes=4)


def plan(**changes: Any) -> PlanView:
    replica = ReplicaView(
        looked_at=None, state="good", connected=True, queue_bytes=0, problem=None, data_until=NOW, loss_limit=3600.0
    )
    nothing = dict.fromkeys(
        ("active_run", "run", "newest_look", "last_good_drill", "next_look_not_before", "paused_until", "pause_reason")
    )
    facts: dict[str, Any] = {
        "name": "contoso",
        "title": "Contoso web shop",
        "mode": "automatic",
        "active_site": "primary",
        "primary_latched": False,
        "replica": replica,
        "open_alerts": 0,
        "warnings": [],
    }
    return PlanView.model_validate(nothing | facts | changes)


def run(kind: str, phase: str, waiting: str | None = None, answers: tuple[str, ...] = ()) -> WaitingRun:
    facts = {"run_id": f"contoso-{kind[0]}1", "kind": kind, "trigger": "watch", "phase": phase, "waiting_for": waiting}
    return WaitingRun.model_validate(facts | {"answers": list(answers), "waiting_until": None})


def look(says: str) -> NewestLook:
    return NewestLook.model_validate({"at": NOW, "says": says, "since": DOWN, "sentence": "", "evidence": []})


ASKS = run("failover", "needs_operator", "The primary site is serving traffic.", ("proceed", "abort"))


@pytest.mark.parametrize(
    ("state", "word", "buttons"),
    [
        ({}, "ALL WELL", ["Run a drill", "Pause for 2 hours"]),
        ({"newest_look": look("down"), "down_since": DOWN}, "SHOP DOWN", ["Fail over now"]),
        (
            {"run": run("failover", "confirming"), "down_since": DOWN},
            "SHOP DOWN",
            ["Fail over now", "Stop: no failover"],
        ),
        ({"run": run("failover", "recovering")}, "RECOVERING", ["Stop before customers move"]),
        ({"run": run("failover", "cutting_over")}, "RECOVERING", []),
        ({"run": ASKS}, "ACTION REQUIRED", ["Proceed all the same", "End this run"]),
        ({"active_site": "recovery"}, "RUNNING IN AZURE (NOT PROTECTED)", ["Start the failback"]),
        ({"active_site": "recovery", "azure_is_home": True}, "RUNNING IN AZURE", []),
        ({"active_site": "recovery", "run": run("failback", "syncing")}, "COMING HOME", ["End the failback"]),
        ({"active_site": "primary", "run": run("failback", "watching")}, "COMING HOME", []),
        ({"active_site": "both"}, "ACTION REQUIRED", []),
        ({"paused_until": NOW, "pause_reason": "patches"}, "PAUSED", ["End the pause"]),
        ({"warnings": ["Replication has stopped."]}, "ACTION REQUIRED", ["Run a drill", "Pause for 2 hours"]),
        ({"run": run("drill", "recovering")}, "ALL WELL", []),
    ],
)
def test_the_word_and_the_buttons_of_a_state(state: dict[str, Any], word: str, buttons: list[str]) -> None:
    seen = situation(plan(**state), NOW)
    assert (seen.word, [button.label for button in seen.buttons]) == (word, buttons)
    assert len(seen.buttons) <= 2


def test_an_outage_says_for_how_long_and_what_comes_next() -> None:
    seen = situation(plan(newest_look=look("down"), down_since=DOWN, mode="observe"), NOW)
    assert seen.since == DOWN
    assert seen.sentence == (
        "The primary site has not answered for 4 min. The plan is in observe mode, so nothing starts by itself."
    )


def test_an_approval_needs_the_approvers_role_and_what_destroys_needs_the_name() -> None:
    asks = run("failover", "waiting_for_approval", "Fail over?", ("approve", "reject", "abort"))
    approve, reject = situation(plan(run=asks), NOW).buttons
    assert (approve.needs, reject.needs) == ("approver", "approver")
    proceed, _ = situation(plan(run=ASKS), NOW).buttons
    assert proceed.name_it == "contoso"


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({}, "It builds the machines in Azure once the outage is confirmed."),
        ({"mode": "observe"}, "The plan is in observe mode, so nothing is built by itself."),
        ({"mode": "approve"}, "Once the outage is confirmed it asks for approval."),
        (
            {"paused_until": NOW, "pause_reason": "patches"},
            "Automatic failover is paused, so nothing is built by itself.",
        ),
    ],
)
def test_while_it_confirms_the_page_promises_only_what_will_happen(state: dict[str, Any], says: str) -> None:
    by_itself = situation(plan(run=run("failover", "confirming"), **state), NOW)
    assert by_itself.sentence.endswith(says)
    by_a_person = run("failover", "confirming").model_copy(update={"trigger": "operator"})
    assert situation(plan(run=by_a_person, **state), NOW).sentence.endswith("once the outage is confirmed.")
