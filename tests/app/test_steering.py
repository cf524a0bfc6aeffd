"""The answers that a run accepts in each state: an answer belongs to one question, and `retry` answers none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import count
from typing import Any, cast

import azure.functions as func
import pytest

from functions.engine import DurableEngine
from functions.http.auth import KEY_HOLDER
from functions.http.responses import answering
from functions.http.run_actions import RUN_ACTIONS
from functions.triggers.runs import steer_run
from shared.models.ids import new_run_id
from shared.models.runs import CutoverState, Phase, RecoveryRun
from shared.store import events
from shared.store.runs import open_run
from tests.app.test_among_plans import Engine
from tests.lab.app_side import AppSide

_NUMBERS = count(1)
QUESTION = "The primary site is serving traffic again. Its changes since 2027-01-15 20:00 UTC would be lost."
ASKS, REPAIR, APPROVAL = ["proceed", "abort"], ["retry", "abort"], ["approve", "reject", "abort"]


def waiting(app: AppSide, phase: Phase, answers: list[str], **facts: Any) -> RecoveryRun:
    """A failover of a plan of its own, which waits for one of these answers."""
    plan, now = f"steer{next(_NUMBERS)}", datetime.now(UTC)
    run = RecoveryRun.model_validate(
        {
            "run_id": new_run_id(plan, "failover", now),
            "plan": plan,
            "plan_hash": "0",
            "kind": "failover",
            "mode": "automatic",
            "trigger": "watch",
            "reason": "A test",
            "phase": phase,
            "answers": answers,
            "waiting_for": QUESTION if answers else None,
            "holds": 3,
            "started_at": now,
        }
        | facts
    )
    app.run(open_run(run))
    return run


def tell(app: AppSide, run: RecoveryRun, word: str, body: dict[str, Any] | None = None) -> tuple[int, Any, Engine]:
    """The answer's status and document, and what the engine heard."""
    engine = Engine()
    request = func.HttpRequest(
        "POST",
        f"http://localhost/api/runs/{run.run_id}/{word}",
        route_params={"run_id": run.run_id, "action": word},
        body=json.dumps(body or {}).encode(),
    )
    answer = app.run(answering(steer_run)(request, cast("DurableEngine", engine)))
    return answer.status_code, json.loads(answer.get_body()), engine


@pytest.mark.parametrize(
    ("word", "changes", "says"),
    [
        ("proceed", {}, "only for `retry` of a failover"),
        ("retry", {"kind": "drill"}, "only for `retry` of a failover"),
        ("retry", {"mode": "planned"}, "only for `retry` of a failover"),
        ("retry", {"cutover": CutoverState.BEGUN}, "the recovery point stays"),
    ],
)
def test_another_recovery_point_is_refused_where_it_would_come_too_late_or_mean_nothing(
    app: AppSide, word: str, changes: dict[str, Any], says: str
) -> None:
    run = waiting(app, Phase.NEEDS_OPERATOR, [word], **changes)
    status, answer, engine = tell(app, run, word, {"recovery_point": "latest_good"})
    assert (status, engine.sent) == (409, [])
    assert says in answer["detail"]


@pytest.mark.parametrize(
    ("phase", "answers"),
    [
        (Phase.NEEDS_OPERATOR, ASKS),
        (Phase.NEEDS_OPERATOR, REPAIR),
        (Phase.WAITING_FOR_APPROVAL, APPROVAL),
        (Phase.NEEDS_OPERATOR, ["retry"]),
    ],
    ids=["a question", "a repair", "approval", "a repair during the cutover"],
)
@pytest.mark.parametrize("word", sorted(RUN_ACTIONS))
def test_a_run_takes_the_answers_that_it_waits_for_and_no_others(
    app: AppSide, phase: Phase, answers: list[str], word: str
) -> None:
    run = waiting(app, phase, answers, cutover=CutoverState.BEGUN if answers == ["retry"] else CutoverState.NOT_STARTED)
    status, answer, engine = tell(app, run, word, {"reason": "so it is"})
    if word in answers:
        heard = {"by": KEY_HOLDER.name, "reason": "so it is", "hold": 3}
        assert (status, engine.sent) == (202, [(run.run_id, RUN_ACTIONS[word].event, heard)])
    else:
        assert (status, engine.sent) == (409, [])
        assert answer["title"] == "Conflict"


@pytest.mark.parametrize("word", ["retry", "approve", "reject"])
def test_a_word_that_is_no_answer_is_refused_with_the_question_and_its_answers(app: AppSide, word: str) -> None:
    run = waiting(app, Phase.NEEDS_OPERATOR, ASKS)
    status, answer, _ = tell(app, run, word)
    assert (status, answer["answers"], answer["phase"]) == (409, ASKS, "needs_operator")
    for part in (QUESTION, f"`coldsite proceed {run.run_id}`", f"`coldsite abort {run.run_id}`"):
        assert part in answer["detail"]


def test_a_run_that_asks_nothing_says_what_it_does_in_plain_words(app: AppSide) -> None:
    status, answer, _ = tell(app, waiting(app, Phase.WAITING_FOR_APPROVAL, []), "retry")
    assert (status, answer["answers"]) == (409, [])
    assert answer["detail"] == (
        "`retry` is only valid while a run waits for a fix (current phase: waiting for approval). No answer is required."
    )


def test_a_run_that_clears_away_takes_no_second_abort(app: AppSide) -> None:
    status, answer, _ = tell(app, waiting(app, Phase.CLEANING_UP, []), "abort")
    assert (status, answer["detail"]) == (409, "The run is ending; cleanup is in progress.")


def test_a_run_that_was_aborted_takes_no_other_word(app: AppSide) -> None:
    run = waiting(app, Phase.NEEDS_OPERATOR, ASKS)
    assert tell(app, run, "abort")[0] == 202
    status, answer, engine = tell(app, run, "proceed")
    assert (status, engine.sent) == (409, [])
    assert "has aborted the run" in answer["detail"]


def test_after_the_cutover_has_begun_no_abort_is_taken(app: AppSide) -> None:
    run = waiting(app, Phase.NEEDS_OPERATOR, ["retry"], cutover=CutoverState.BEGUN)
    status, answer, _ = tell(app, run, "abort")
    assert status == 409
    assert "only goes forward" in answer["detail"]


def test_a_refused_word_leaves_no_trace_in_the_sites_story_and_a_taken_one_does(app: AppSide) -> None:
    run = waiting(app, Phase.NEEDS_OPERATOR, ASKS)
    tell(app, run, "retry")
    tell(app, run, "proceed", {"reason": "the owner says so"})
    (event,) = app.run(events.list_events(run.plan))
    assert event.text.startswith(f"Proceed of run {run.run_id} by ")
    assert event.text.endswith(": the owner says so")


@pytest.mark.parametrize("facts", [{}, {"outcome": "succeeded"}], ids=["in progress", "ended"])
def test_a_note_is_recorded_at_any_time_and_reaches_no_run(app: AppSide, facts: dict[str, Any]) -> None:
    run = waiting(app, Phase.COMPLETED if facts else Phase.CUTTING_OVER, [], **facts)
    status, _, engine = tell(app, run, "note", {"reason": "the insurer was called"})
    assert (status, engine.sent) == (202, [])
    (newest, *_) = app.run(events.list_events(run.plan))
    assert newest.text == f"Note on run {run.run_id} by {KEY_HOLDER.name}: the insurer was called"


def test_a_note_without_a_text_is_refused(app: AppSide) -> None:
    status, answer, _ = tell(app, waiting(app, Phase.RECOVERING, []), "note")
    assert (status, answer["detail"]) == (422, "reason: the text of the note is missing.")
