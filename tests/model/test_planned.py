"""Planned failovers, which lose nothing or do not happen, and the writes that they stop."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.models import ids
from shared.models.runs import Outcome, Phase
from tests.model.front import Front
from tests.model.promises import come_to_rest
from tests.model.test_examples import end, started, until_phase


@pytest.fixture
def planned(front: Front) -> str:
    return started(front.failover("planned", acknowledge=False))


def question(front: Front, run_id: str) -> str:
    return front.world.records.runs[run_id].waiting_for or ""


def held(front: Front, run_id: str) -> str:
    """The question with which the run stops."""
    until_phase(front, run_id, Phase.NEEDS_OPERATOR)
    assert not front.world.traffic.moves
    return question(front, run_id)


def test_a_planned_failover_recovers_the_newest_change_of_the_primary(front: Front, planned: str) -> None:
    assert end(front, planned) is Outcome.SUCCEEDED
    stopped = front.world.primary.writes_stopped_at
    assert stopped is not None
    machine = front.world.azure.machine(ids.machine_name(planned, "sql"))
    assert machine is not None
    assert machine.content is not None
    assert machine.content.until is not None
    assert machine.content.until >= stopped
    assert front.world.records.runs[planned].recovery_point_actual == 0.0


def test_a_hook_that_lies_moves_no_customers(front: Front, planned: str) -> None:
    front.world.primary.hook_lies = True
    sentence = held(front, planned)
    assert "its writes did not stop" in sentence
    assert "Traffic is unchanged, since a planned failover must not lose data" in sentence
    assert front.steer(planned, "retry")
    front.world.engine.advance(timedelta(minutes=30))
    assert front.world.records.runs[planned].outcome is None
    assert not front.world.traffic.moves


def test_a_hook_that_cannot_be_reached_moves_no_customers(front: Front, planned: str) -> None:
    front.world.primary.change(cut="private")
    assert "so its writes were not stopped" in held(front, planned)


def test_a_replica_that_does_not_hold_everything_moves_no_customers(front: Front, planned: str) -> None:
    until = front.world.clock() - timedelta(hours=1)
    front.world.replica.heard_at = lambda: until
    sentence = held(front, planned)
    assert "The replica does not hold everything" in sentence
    assert "it holds changes until 2027-01-15 02:00 UTC" in sentence


def test_a_planned_failover_that_is_ended_lets_the_primary_write_again(front: Front, planned: str) -> None:
    until_phase(front, planned, Phase.RECOVERING)
    until_writes_stop(front)
    front.world.engine.advance(timedelta(minutes=2))
    assert front.steer(planned, "abort")
    assert end(front, planned) is Outcome.ABORTED
    assert front.world.primary.writes_stopped_at is None
    assert front.world.records.state.fenced_by is None


def test_a_run_that_stopped_the_writes_and_was_lost_has_them_resumed_by_housekeeping(
    front: Front, planned: str
) -> None:
    until_writes_stop(front)
    front.world.engine.lose(planned)
    front.world.engine.advance(timedelta(minutes=1))
    for _ in range(12):
        front.housekeeping()
        front.world.engine.advance(timedelta(minutes=5))
    come_to_rest(front.world)
    assert front.world.records.runs[planned].outcome is Outcome.FAILED
    assert front.world.primary.writes_stopped_at is None
    assert front.world.records.state.fenced_by is None
    assert not front.world.replica.frozen


def until_writes_stop(front: Front) -> None:
    while front.world.primary.writes_stopped_at is None:
        front.world.engine.advance(timedelta(seconds=1))


def test_a_planned_failover_that_waits_says_that_no_writes_are_taken_and_does_not_wait_for_ever(
    front: Front, planned: str
) -> None:
    """While the question is open the shop takes no orders."""
    front.world.azure.broken.add("sql")
    assert held(front, planned).startswith("The primary's writes were ordered to stop; `abort` resumes them.")
    front.world.engine.advance(front.plan.recovery.hold_for + timedelta(minutes=10))
    assert end(front, planned) is Outcome.ABORTED
    assert front.world.primary.writes_stopped_at is None
    assert not front.world.azure.resources


def test_a_database_at_home_that_falls_silent_after_the_stop_moves_no_customers_until_it_answers(
    front: Front, planned: str
) -> None:
    """Its newest change was recovered; the absence of a later one can no longer be proven."""
    until_writes_stop(front)
    until_phase(front, planned, Phase.VERIFYING)
    front.world.primary.change(cut="private")
    assert "a later change cannot be ruled out" in held(front, planned)
    assert front.world.records.runs[planned].answers == ["retry", "abort"]
    front.world.primary.change(heal="private")
    assert front.steer(planned, "retry")
    assert end(front, planned) is Outcome.SUCCEEDED


def test_a_planned_failover_from_an_older_point_is_refused(front: Front) -> None:
    front.set_is_due()
    come_to_rest(front.world)
    assert front.failover("planned", acknowledge=False, recovery_point="latest_good") is None


def test_a_plan_that_cannot_stop_the_source_has_no_planned_failover(front: Front) -> None:
    front.plan = front.plan.model_copy(update={"fence": None})
    assert front.failover("planned", acknowledge=False) is None


# Changes that Traffic Manager accepts and does not apply


@pytest.mark.parametrize("activity", ["enable_recovery", "disable_primary"])
def test_one_order_without_effect_moves_the_customers_all_the_same(front: Front, planned: str, activity: str) -> None:
    """The primary serves, so a moment without an enabled endpoint would be an outage caused by Coldsite."""
    front.world.swallowed[activity] = 1
    assert end(front, planned) is Outcome.SUCCEEDED
    assert [(m.endpoint, m.enabled) for m in front.world.traffic.moves] == [("recovery", True), ("primary", False)]


def test_an_enable_that_is_never_carried_out_moves_no_customers_and_brings_a_person(outage: Front) -> None:
    outage.world.swallowed["enable_recovery"] = 100
    run_id = started(outage.watch())
    assert "accepted the request to enable azure, but it is still disabled" in held(outage, run_id)
    assert outage.world.traffic.primary
    assert outage.steer(run_id, "abort")
    assert end(outage, run_id) is Outcome.ABORTED


# Questions and repairs


@pytest.fixture
def serving_again(outage: Front) -> str:
    """A run that asks whether to move the customers although the primary serves again."""
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.RECOVERING)
    outage.world.primary.change(alive=True)
    until_phase(outage, run_id, Phase.NEEDS_OPERATOR)
    return run_id


def test_a_repair_is_no_answer_to_a_question(outage: Front, serving_again: str) -> None:
    """Not even one that reaches the run although the API refuses it: the two answers are different events."""
    run = outage.world.records.runs[serving_again]
    assert run.answers == ["proceed", "abort"]
    assert not outage.steer(serving_again, "retry")
    outage.world.engine.send(serving_again, ids.EVENT_RETRY, {"by": "anna", "reason": "", "hold": run.holds})
    outage.world.engine.advance(timedelta(minutes=20))
    assert outage.world.records.runs[serving_again].phase is Phase.NEEDS_OPERATOR
    assert not outage.world.traffic.moves


def test_a_yes_to_a_question_is_no_repair(outage: Front) -> None:
    outage.world.azure.trouble("take_recovery_point", "permanent")
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.NEEDS_OPERATOR)
    run = outage.world.records.runs[run_id]
    assert run.answers == ["retry", "abort"]
    assert not outage.steer(run_id, "proceed")
    outage.world.engine.send(run_id, ids.EVENT_PROCEED, {"by": "anna", "reason": "", "hold": run.holds})
    outage.world.engine.advance(timedelta(minutes=20))
    assert outage.world.records.runs[run_id].phase is Phase.NEEDS_OPERATOR


def test_while_nothing_is_asked_no_answer_is_offered(outage: Front, serving_again: str) -> None:
    assert outage.steer(serving_again, "proceed")
    assert end(outage, serving_again) is Outcome.SUCCEEDED
    run = outage.world.records.runs[serving_again]
    assert (run.answers, run.waiting_for, run.waiting_until) == ([], None, None)
