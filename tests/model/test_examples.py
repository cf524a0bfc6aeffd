"""Single nights, step by step: a world without faults, and the effect of one crash."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lab.chaos.stories import STORIES
from shared.models.runs import Outcome, Phase
from tests.model.activities import app_activities
from tests.model.engine import Mishap
from tests.model.front import Front
from tests.model.promises import check_at_rest, come_to_rest
from tests.model.world import World

IN_VIRTUAL_TIME = frozenset[str]().union(
    *(STORIES[story].crash_in or () for story in ("failback", "accident", "hooked"))
)
"""The way home, rebuilds in Azure and hooks are played in virtual time only."""
NOT_IN_AN_OUTAGE = {
    "find_recovery_points",
    "forget_recovery_points",
    "note_point",
    "note_replica",
    "read_home_commit",
    "read_replication",
}
HAPPY = [Phase.CONFIRMING, Phase.RECOVERING, Phase.VERIFYING, Phase.CUTTING_OVER, Phase.COMPLETED]


def started(run_id: str | None) -> str:
    assert run_id, "no run was started"
    return run_id


def end(front: Front, run_id: str) -> Outcome | None:
    """Advances through the night, and returns the run's outcome."""
    come_to_rest(front.world)
    check_at_rest(front.world)
    return front.world.records.runs[run_id].outcome


def until_phase(front: Front, run_id: str, phase: Phase) -> None:
    for _ in range(3600):
        if front.world.records.runs[run_id].phase is phase:
            return
        front.world.engine.advance(timedelta(seconds=1))
    raise AssertionError(f"{run_id} never comes to {phase}: {front.world.records.phases[run_id]}")


def test_the_model_knows_every_activity_of_the_app(front: Front) -> None:
    assert sorted(front.world.activities) == sorted(set(app_activities()) - IN_VIRTUAL_TIME)


def test_an_activity_that_the_model_does_not_know_is_named(front: Front) -> None:
    with pytest.raises(AssertionError, match="does not know the activity make_coffee"):
        front.world.perform("make_coffee", {})


def test_an_outage_moves_the_customers(outage: Front) -> None:
    run_id = started(outage.watch())
    assert end(outage, run_id) is Outcome.SUCCEEDED
    assert outage.world.records.phases[run_id] == HAPPY
    assert [(m.endpoint, m.enabled) for m in outage.world.traffic.moves] == [("recovery", True), ("primary", False)]
    assert outage.world.replica.frozen


def test_a_false_alarm_stands_down_and_builds_nothing(front: Front) -> None:
    run_id = started(front.alert("one", "Fired"))
    assert end(front, run_id) is Outcome.STOOD_DOWN
    assert not front.world.azure.resources
    assert front.watch() is None


def test_a_drill_leaves_nothing_behind(front: Front) -> None:
    run_id = started(front.drill())
    assert end(front, run_id) is Outcome.SUCCEEDED
    assert not front.world.azure.resources
    assert not front.world.replica.frozen


def test_a_failover_takes_the_plan_from_a_drill(front: Front) -> None:
    drill = started(front.drill())
    until_phase(front, drill, Phase.VERIFYING)
    front.world.primary.change(alive=False)
    front.world.engine.advance(timedelta(minutes=1))
    failover = started(front.watch())
    assert end(front, failover) is Outcome.SUCCEEDED
    assert front.world.records.runs[drill].outcome is Outcome.PREEMPTED
    assert front.world.azure.owned(drill) == []


def test_an_abort_while_machines_are_built_clears_them_away(outage: Front) -> None:
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.RECOVERING)
    outage.world.engine.advance(timedelta(seconds=70))
    assert outage.world.azure.owned(run_id)
    assert outage.steer(run_id, "abort")
    assert end(outage, run_id) is Outcome.ABORTED
    assert not outage.world.azure.resources


def test_a_primary_that_returns_before_the_cutover_is_a_persons_choice(outage: Front) -> None:
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.RECOVERING)
    outage.world.primary.change(alive=True)
    assert end(outage, run_id) is None
    assert outage.world.records.runs[run_id].phase is Phase.NEEDS_OPERATOR
    assert not outage.steer(run_id, "approve")
    assert not outage.steer(run_id, "retry")
    assert outage.steer(run_id, "proceed", hold=0)
    assert end(outage, run_id) is None
    assert outage.steer(run_id, "proceed")
    assert end(outage, run_id) is Outcome.SUCCEEDED


def held_before_the_cutover(outage: Front, **change: Any) -> str:
    """A failover whose machines are ready when a change leads to a question."""
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.RECOVERING)
    outage.world.primary.change(**change)
    assert end(outage, run_id) is None
    assert outage.world.records.runs[run_id].phase is Phase.NEEDS_OPERATOR
    return run_id


def test_a_coldsite_that_is_cut_off_before_the_cutover_asks_and_goes_on_when_it_sees_again(outage: Front) -> None:
    run_id = held_before_the_cutover(outage, cut="observer")
    assert "lost connectivity" in (outage.world.records.runs[run_id].waiting_for or "")
    began = outage.world.records.runs[run_id].verdict_detail
    outage.world.engine.advance(timedelta(hours=2))
    assert outage.world.records.runs[run_id].phase is Phase.NEEDS_OPERATOR
    outage.world.primary.change(heal="observer")
    outage.world.engine.advance(timedelta(minutes=30))
    assert end(outage, run_id) is Outcome.SUCCEEDED
    assert began is not None
    took = outage.world.records.runs[run_id].recovery_time_actual
    assert took is not None
    assert took > timedelta(hours=2).total_seconds(), "the outage began before Coldsite was cut off"


def test_a_private_path_that_is_up_before_the_cutover_is_a_persons_choice(outage: Front) -> None:
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.RECOVERING)
    outage.world.primary.change(alive=True, cut="public")
    assert end(outage, run_id) is None
    assert "Partial outage" in (outage.world.records.runs[run_id].waiting_for or "")
    assert outage.steer(run_id, "proceed")
    assert end(outage, run_id) is Outcome.SUCCEEDED


def test_a_primary_that_returns_and_dies_again_is_failed_over_once_that_is_confirmed(outage: Front) -> None:
    run_id = held_before_the_cutover(outage, alive=True)
    outage.world.engine.advance(timedelta(minutes=20))
    outage.world.primary.change(alive=False)
    died_again = outage.world.clock()
    outage.world.engine.advance(timedelta(minutes=10))
    assert end(outage, run_id) is Outcome.SUCCEEDED
    moved = outage.world.traffic.moves[0].at - died_again
    assert moved > outage.plan.detection.confirm_for
    took = outage.world.records.runs[run_id].recovery_time_actual
    assert took is not None
    assert took < timedelta(minutes=10).total_seconds(), "the second outage is the one that is measured"


def test_a_primary_that_flaps_while_a_person_is_asked_moves_no_customers(outage: Front) -> None:
    run_id = held_before_the_cutover(outage, alive=True)
    for _ in range(20):
        for alive, seconds in ((False, 60), (True, 30)):
            outage.world.primary.change(alive=alive)
            outage.world.engine.advance(timedelta(seconds=seconds))
    assert end(outage, run_id) is None
    assert not outage.world.traffic.moves


def test_a_lock_that_was_taken_and_never_used_is_taken_over(outage: Front) -> None:
    assert outage.watch(cut_off="after the row") is None
    outage.world.engine.advance(timedelta(minutes=1))
    assert end(outage, started(outage.watch())) is Outcome.SUCCEEDED


@pytest.mark.parametrize("mishap", ["answer_lost", "twice", "echo"])
@pytest.mark.parametrize("activity", sorted(set(app_activities()) - NOT_IN_AN_OUTAGE - IN_VIRTUAL_TIME))
def test_one_mishap_anywhere_changes_nothing(outage: Front, activity: str, mishap: Mishap) -> None:
    outage.world.engine.befall(activity, mishap)
    run_id = started(outage.watch())
    assert end(outage, run_id) is Outcome.SUCCEEDED
    assert outage.world.records.phases[run_id] == HAPPY


@pytest.mark.parametrize("trouble", ["capacity", "quota"])
def test_a_size_that_cannot_be_had_costs_a_rung(outage: Front, trouble: str) -> None:
    outage.world.azure.trouble("create_machine", "capacity" if trouble == "capacity" else "quota")
    assert end(outage, started(outage.watch())) is Outcome.SUCCEEDED


def test_time_passes_only_in_the_model(front: Front) -> None:
    world: World = front.world
    before = world.clock()
    world.engine.advance(timedelta(days=365))
    assert world.clock() - before == timedelta(days=365)
