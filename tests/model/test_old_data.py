"""Nights on which the replica's data are old, or reported as newer than they are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.models.runs import Outcome, Phase
from tests.model.front import Front, Steering
from tests.model.promises import come_to_rest
from tests.model.test_examples import HAPPY, end, started, until_phase

HOUSEKEEPING_EVERY = timedelta(minutes=5)


def live(front: Front, how_long: timedelta) -> None:
    """Time passes, and housekeeping checks the replica."""
    until = front.world.clock() + how_long
    while front.world.clock() < until:
        front.housekeeping()
        front.world.engine.advance(HOUSEKEEPING_EVERY)


def replication_dies_and_then_the_primary(front: Front, between: timedelta) -> str:
    """Replication loses its source; ``between`` later the primary goes down, and the watch starts a run."""
    live(front, timedelta(minutes=30))
    front.world.primary.change(cut="private")
    live(front, between)
    front.world.primary.change(alive=False)
    front.world.engine.advance(timedelta(minutes=1))
    return started(front.watch())


@pytest.fixture
def asked(front: Front) -> str:
    """A run that asks whether to move the customers to data that are three hours old."""
    run_id = replication_dies_and_then_the_primary(front, timedelta(hours=3))
    until_phase(front, run_id, Phase.WAITING_FOR_APPROVAL)
    return run_id


def test_data_from_three_hours_before_the_outage_bring_a_person_before_anything_is_built(
    front: Front, asked: str
) -> None:
    run = front.world.records.runs[asked]
    assert "Azure's data are from 2027-01-15 03:30 UTC, 3 h 1 min before the outage" in (run.waiting_for or "")
    assert "the plan's loss_limit is 1 h" in (run.waiting_for or "")
    assert run.answers == ["approve", "reject", "abort"]
    assert run.waiting_until is not None
    left = run.waiting_until - front.world.clock()
    assert timedelta(0) <= front.plan.detection.approval.deadline - left < timedelta(minutes=1)
    assert {resource.kind for resource in front.world.azure.resources.values()} <= {"snapshots"}
    front.world.engine.advance(timedelta(seconds=10))
    assert any("Approval required" in order.message.title for order in front.world.notifications)


def test_a_yes_covers_the_age_that_the_question_named_and_moves_the_customers(front: Front, asked: str) -> None:
    assert front.steer(asked, "approve")
    assert end(front, asked) is Outcome.SUCCEEDED
    assert Phase.NEEDS_OPERATOR not in front.world.records.phases[asked], "the same loss is asked about once"
    assert (front.world.traffic.primary, front.world.traffic.recovery) == (False, True)


@pytest.mark.parametrize(
    ("word", "outcome"),
    [("reject", Outcome.REJECTED), (None, Outcome.EXPIRED), ("abort", Outcome.ABORTED)],
    ids=["no", "silence", "abort"],
)
def test_without_a_yes_no_customer_is_moved_and_everything_goes_on_as_before(
    front: Front, asked: str, word: Steering | None, outcome: Outcome
) -> None:
    if word:
        assert front.steer(asked, word)
    front.world.engine.advance(front.plan.detection.approval.deadline + timedelta(minutes=5))
    assert end(front, asked) is outcome
    assert not front.world.traffic.moves
    assert not front.world.azure.resources
    assert not front.world.replica.frozen


def test_data_within_the_limit_are_no_reason_to_ask(front: Front) -> None:
    run_id = replication_dies_and_then_the_primary(front, timedelta(minutes=50))
    assert end(front, run_id) is Outcome.SUCCEEDED
    assert front.world.records.phases[run_id] == HAPPY


def test_a_plan_whose_silence_proceeds_asks_and_moves_no_customers_to_old_data_by_silence(front: Front) -> None:
    approval = front.plan.detection.approval.model_copy(update={"then": "proceed"})
    front.plan = front.plan.model_copy(
        update={"detection": front.plan.detection.model_copy(update={"approval": approval})}
    )
    run_id = replication_dies_and_then_the_primary(front, timedelta(hours=3))
    assert end_after(front, run_id, approval.deadline) is Outcome.EXPIRED
    assert not front.world.traffic.moves


def end_after(front: Front, run_id: str, wait: timedelta) -> Outcome | None:
    until_phase(front, run_id, Phase.WAITING_FOR_APPROVAL)
    front.world.engine.advance(wait + timedelta(minutes=5))
    return end(front, run_id)


def test_an_approval_that_the_plan_asks_for_says_from_when_the_data_are(front: Front) -> None:
    """One approval is enough: it covers the failover and the loss."""
    detection = front.plan.detection.model_copy(update={"mode": "approve"})
    front.plan = front.plan.model_copy(update={"detection": detection})
    run_id = replication_dies_and_then_the_primary(front, timedelta(hours=3))
    until_phase(front, run_id, Phase.WAITING_FOR_APPROVAL)
    question = front.world.records.runs[run_id].waiting_for or ""
    assert question.startswith("The plan requires approval. ")
    assert "Azure's data are from 2027-01-15 03:30 UTC" in question
    assert front.steer(run_id, "approve")
    assert end(front, run_id) is Outcome.SUCCEEDED


def test_a_replica_that_was_never_seen_in_order_brings_a_person(front: Front) -> None:
    front.world.replica.connected = lambda: False
    front.world.replica.heard_at = lambda: None
    live(front, timedelta(hours=1))
    front.world.primary.change(alive=False)
    front.world.engine.advance(timedelta(minutes=1))
    run_id = started(front.watch())
    until_phase(front, run_id, Phase.WAITING_FOR_APPROVAL)
    assert "The age of Azure's data is unknown" in (front.world.records.runs[run_id].waiting_for or "")


def test_what_was_recovered_may_be_older_than_replication_said_and_then_a_person_is_asked(front: Front) -> None:
    """The script reports an age of a minute, and the recovered database is hours old."""
    live(front, timedelta(hours=4))
    old = front.world.clock() - timedelta(hours=3)
    front.world.primary.change(alive=False)
    front.world.engine.advance(timedelta(minutes=1))
    run_id = started(front.watch())
    front.world.primary.newest_commit_held = lambda until: min(until, old)  # type: ignore[method-assign]
    until_phase(front, run_id, Phase.NEEDS_OPERATOR)
    run = front.world.records.runs[run_id]
    assert "The newest change in Azure's database orders is from 2027-01-15 04:00 UTC" in (run.waiting_for or "")
    assert run.answers == ["proceed", "abort"]
    assert not front.world.traffic.moves
    assert not front.steer(run_id, "retry")
    assert front.steer(run_id, "proceed")
    assert end(front, run_id) is Outcome.SUCCEEDED


def test_a_point_from_before_an_attack_moves_the_customers_without_asking_again(front: Front) -> None:
    """An operator chose the point's age and acknowledged that the primary serves, which it does throughout."""
    front.set_is_due()
    come_to_rest(front.world)
    attack = front.world.clock() + timedelta(minutes=10)
    for _ in range(6):
        live(front, timedelta(hours=1))
        front.set_is_due()
    run_id = started(front.failover("unplanned", acknowledge=True, recovery_point=f"before:{attack.isoformat()}"))
    assert end(front, run_id) is Outcome.SUCCEEDED
    phases = front.world.records.phases[run_id]
    assert Phase.NEEDS_OPERATOR not in phases
    assert Phase.WAITING_FOR_APPROVAL not in phases
