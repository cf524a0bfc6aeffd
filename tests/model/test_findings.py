"""Faults that the model found, each as a short night that reproduces it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import pytest

from functions.activities.base import MAX_ATTEMPTS
from functions.activities.probes import DnsAnswer
from shared.models import ids
from shared.models.runs import Outcome, Phase
from tests.model.front import Front
from tests.model.promises import check_at_rest, come_to_rest
from tests.model.site import PORTAL
from tests.model.test_examples import HAPPY, end, started, until_phase


def test_a_primary_that_has_just_returned_is_not_abandoned(outage: Front) -> None:
    """Traffic Manager has not noticed yet: one signal of the public path is up, and one is down."""
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.VERIFYING)
    outage.world.primary.change(alive=True)
    assert end(outage, run_id) is None


def test_a_yes_to_maintenance_is_no_yes_to_a_primary_that_serves(outage: Front) -> None:
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.RECOVERING)
    outage.pause(timedelta(hours=5))
    until_phase(outage, run_id, Phase.NEEDS_OPERATOR)
    outage.world.primary.change(alive=True)
    outage.world.engine.advance(timedelta(minutes=5))
    assert outage.steer(run_id, "proceed")
    assert end(outage, run_id) is None


def test_a_lapsed_question_moves_no_customers_from_a_primary_that_serves(outage: Front) -> None:
    """A cutover that Traffic Manager refused is retried automatically, so the primary is probed again."""
    run_id = started(outage.watch())
    outage.world.azure.trouble("enable_recovery", "permanent")
    until_phase(outage, run_id, Phase.NEEDS_OPERATOR)
    outage.world.primary.change(alive=True)
    outage.world.engine.advance(timedelta(hours=3))
    assert end(outage, run_id) is None


def test_an_abort_that_comes_while_the_cutover_is_being_written_down_ends_the_run(outage: Front) -> None:
    """The row decides: an abort that it accepted comes before a cutover that it has not recorded yet."""
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.VERIFYING)
    outage.world.engine.befall("record_step", "slow", 2)
    outage.world.engine.advance(timedelta(seconds=30))
    assert outage.steer(run_id, "abort")
    assert end(outage, run_id) is Outcome.ABORTED


def test_an_unexpected_error_during_the_cutover_clears_nothing_away(outage: Front) -> None:
    outage.world.activities["check_dns"] = lambda _: DnsAnswer.model_construct(moved=None, at=outage.world.clock())
    run_id = started(outage.watch())
    come_to_rest(outage.world)
    assert {r.kind for r in outage.world.azure.owned(run_id)} == {"virtualMachines", "disks", "snapshots"}


def test_a_run_that_died_before_its_row_was_written_blocks_no_other(outage: Front) -> None:
    assert outage.watch(cut_off="after the lock") is None
    for minute in range(60):
        outage.world.engine.advance(timedelta(minutes=1))
        outage.watch()
        if minute % 5 == 0:
            outage.housekeeping()
    assert [run.outcome for run in outage.world.records.runs.values()] == [Outcome.SUCCEEDED]


def test_a_drill_hears_of_its_preemption_although_the_app_died_meanwhile(front: Front) -> None:
    """``begin_run`` takes the lock over before it signals the drill; housekeeping signals it then."""
    drill = started(front.drill())
    front.world.azure.broken.add("sql")
    front.world.primary.change(alive=False)
    front.world.engine.advance(timedelta(minutes=1))
    assert front.watch(cut_off="after the lock") is None
    front.world.engine.advance(timedelta(minutes=1))
    front.housekeeping()
    assert end(front, drill) is Outcome.PREEMPTED


def test_a_drill_that_is_dead_and_preempted_has_an_end(front: Front) -> None:
    front.world.engine.befall("claim_run", "raises", 20)
    started(front.drill())
    front.world.engine.advance(timedelta(minutes=20))
    front.world.primary.change(alive=False)
    front.world.engine.advance(timedelta(minutes=1))
    assert end(front, started(front.watch())) is Outcome.SUCCEEDED


def test_a_set_of_the_timer_is_not_thawed_by_a_drill(front: Front) -> None:
    """The drill takes the frozen replica over and thaws it, while ``take_set`` still has to order its snapshots."""
    front.world.azure.trouble("take_recovery_point", "throttled", 3)
    front.set_is_due()
    front.world.engine.advance(timedelta(seconds=5))
    started(front.drill())
    front.world.engine.advance(timedelta(minutes=1))
    front.world.engine.befall("take_recovery_point", "slow")
    come_to_rest(front.world)
    check_at_rest(front.world)


@pytest.mark.parametrize("after", range(29, 38))
def test_a_history_that_is_away_for_long_loses_no_phase(outage: Front, after: int) -> None:
    run_id = started(outage.watch())
    outage.world.engine.advance(timedelta(seconds=after))
    outage.world.history_away_until = outage.world.clock() + timedelta(minutes=30)
    assert end(outage, run_id) is Outcome.SUCCEEDED
    assert outage.world.records.phases[run_id] == HAPPY


@pytest.mark.parametrize("stuck", ["gather_evidence", "record_step", "seal_run"])
def test_the_record_of_a_run_grows_ever_more_slowly_while_the_tables_are_away(outage: Front, stuck: str) -> None:
    """All of it is read at every step, and an outage of the storage may last for days."""
    engine = outage.world.engine
    engine.befall(stuck, "raises", 100_000)
    run_id = started(outage.watch())
    sizes = []
    for _ in range(2):
        engine.advance(timedelta(days=1))
        sizes.append(len(engine.instances[run_id].history))
    first, both = sizes
    assert 0 < both - first < first / 2


@pytest.mark.parametrize(("failures", "lost"), [(MAX_ATTEMPTS - 1, False), (MAX_ATTEMPTS, True)])
def test_a_run_that_could_not_record_a_fact_says_so_when_it_ends(outage: Front, failures: int, lost: bool) -> None:
    """The fact is recorded in the background, so the run does not wait for it, and the engine gives up in the end."""
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.RECOVERING)
    outage.world.engine.befall("record_step", "raises", failures)
    assert end(outage, run_id) is Outcome.SUCCEEDED
    sentence = "The history of this run is incomplete: its storage was unavailable."
    assert (sentence in (outage.world.records.runs[run_id].ended_because or "")) is lost
    assert (sentence in outage.world.notifications[-1].message.text) is lost


def test_the_row_says_how_often_building_began(front: Front) -> None:
    """Housekeeping finds the children of a lost run by it."""
    front.world.azure.broken.add("sql")
    run_id = started(front.failover("unplanned", acknowledge=True))
    for attempt in (1, 2, 3):
        until_phase(front, run_id, Phase.NEEDS_OPERATOR)
        assert front.world.records.runs[run_id].builds == attempt
        assert ids.child_instance(run_id, "sql", attempt) in front.world.engine.instances
        assert ids.child_instance(run_id, "sql", attempt + 1) not in front.world.engine.instances
        assert front.steer(run_id, "retry")
        front.world.engine.advance(timedelta(seconds=10))


def test_a_change_that_is_redelivered_late_does_not_undo_the_question_after_it(outage: Front) -> None:
    """The queue redelivers a message minutes later, when its worker died before it could delete it."""
    run_id = started(outage.watch())
    outage.world.azure.trouble("take_recovery_point", "permanent")
    outage.world.engine.befall("record_step", "echo", 3)  # The last of them says that the run is recovering.
    until_phase(outage, run_id, Phase.NEEDS_OPERATOR)
    outage.world.engine.advance(timedelta(minutes=10))
    run = outage.world.records.runs[run_id]
    assert run.phase is Phase.NEEDS_OPERATOR
    assert run.waiting_for


def test_a_cutover_that_is_redelivered_late_moves_no_customers_behind_an_operators_back(outage: Front) -> None:
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.RECOVERING)
    outage.world.azure.trouble("enable_recovery", "permanent")
    outage.world.engine.befall("enable_recovery", "echo")
    until_phase(outage, run_id, Phase.NEEDS_OPERATOR)
    outage.world.engine.advance(timedelta(minutes=10))
    assert outage.world.records.runs[run_id].phase is Phase.NEEDS_OPERATOR
    assert not outage.world.traffic.moves


def test_a_cutover_that_azure_refused_before_customers_moved_can_still_be_ended(outage: Front) -> None:
    """The primary is back meanwhile, and its operator wants to stay there."""
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.RECOVERING)
    outage.world.azure.trouble("enable_recovery", "permanent")
    until_phase(outage, run_id, Phase.NEEDS_OPERATOR)
    assert "traffic is unchanged" in (outage.world.records.runs[run_id].waiting_for or "")
    outage.world.primary.change(alive=True)
    assert outage.steer(run_id, "abort")
    assert end(outage, run_id) is Outcome.ABORTED
    assert not outage.world.azure.resources
    assert not outage.world.traffic.moves


def test_a_last_look_that_has_grown_old_moves_no_customers(outage: Front) -> None:
    """The history is unavailable between the last check and the cutover, and the primary returns meanwhile."""
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.VERIFYING)
    began = outage.world.clock()
    while outage.world.looks[run_id].at < began:
        outage.world.engine.advance(timedelta(seconds=0.5))
    outage.world.history_away_until = outage.world.clock() + timedelta(hours=1)
    outage.world.primary.change(alive=True)
    outage.world.engine.advance(timedelta(hours=1))
    assert end(outage, run_id) is None
    assert not outage.world.traffic.moves
    assert outage.steer(run_id, "abort")
    assert end(outage, run_id) is Outcome.ABORTED


def test_a_run_that_was_lost_before_it_moved_customers_leaves_nothing_in_the_next_ones_way(outage: Front) -> None:
    run_id = started(outage.watch())
    outage.world.engine.befall("enable_recovery", "raises", 20)
    until_phase(outage, run_id, Phase.CUTTING_OVER)
    outage.world.engine.advance(timedelta(seconds=3))
    outage.world.engine.lose(run_id)
    outage.world.engine.calm()
    for _ in range(12):
        outage.housekeeping()
        outage.world.engine.advance(timedelta(minutes=1))
    assert end(outage, started(outage.watch())) is Outcome.SUCCEEDED
    assert {resource.kind for resource in outage.world.azure.owned(run_id)} == {"snapshots"}


def held_for_hours(front: Front, mode: Literal["planned", "unplanned"]) -> str:
    """A failover of a serving primary, whose machines become healthy only after hours and a retry."""
    front.plan = front.plan.model_copy(
        update={"recovery": front.plan.recovery.model_copy(update={"hold_for": timedelta(hours=24)})}
    )
    front.world.azure.broken.add("sql")
    run_id = started(front.failover(mode, acknowledge=mode == "unplanned"))
    until_phase(front, run_id, Phase.NEEDS_OPERATOR)
    front.world.engine.advance(timedelta(hours=5))
    front.world.azure.broken.clear()
    assert front.steer(run_id, "retry")
    return run_id


def test_an_acknowledged_failover_that_was_held_for_hours_asks_before_it_loses_them(front: Front) -> None:
    run_id = held_for_hours(front, "unplanned")
    assert end(front, run_id) is None
    run = front.world.records.runs[run_id]
    assert "Its changes since 2027-01-15 03:00 UTC would be lost" in (run.waiting_for or "")
    assert run.answers == ["proceed", "abort"]
    assert not front.world.traffic.moves
    assert front.steer(run_id, "proceed")
    assert end(front, run_id) is Outcome.SUCCEEDED


def test_a_planned_failover_that_was_held_for_hours_loses_nothing_and_does_not_ask(front: Front) -> None:
    """Its source takes no writes meanwhile."""
    assert end(front, held_for_hours(front, "planned")) is Outcome.SUCCEEDED


def test_an_app_that_is_slow_moves_the_customers_all_the_same(outage: Front) -> None:
    """Every step takes longer than the initial age limit of the evidence."""
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.VERIFYING)
    for activity in ("check_maintenance", "record_step", "enable_recovery"):
        outage.world.engine.befall(activity, "slow", 2000)
    assert end(outage, run_id) is Outcome.SUCCEEDED


def detecting(front: Front, **changes: Any) -> None:
    """From now on runs start with other detection settings."""
    detection = front.plan.detection.model_copy(update=changes)
    front.plan = front.plan.model_copy(update={"detection": detection})


def asked(front: Front, run_id: str) -> str:
    return front.world.records.runs[run_id].waiting_for or ""


def test_what_azure_puts_off_again_and_again_brings_a_person_who_may_end_it(outage: Front) -> None:
    run_id = started(outage.watch())
    outage.world.azure.trouble("enable_recovery", "throttled", 2000)
    until_phase(outage, run_id, Phase.NEEDS_OPERATOR)
    assert "traffic is unchanged" in asked(outage, run_id)
    assert outage.steer(run_id, "abort")
    assert end(outage, run_id) is Outcome.ABORTED
    assert not outage.world.traffic.moves


def test_while_azure_puts_the_cutover_off_the_run_can_be_ended(outage: Front) -> None:
    run_id = started(outage.watch())
    outage.world.azure.trouble("enable_recovery", "throttled", 2000)
    until_phase(outage, run_id, Phase.CUTTING_OVER)
    until_phase(outage, run_id, Phase.VERIFYING)
    assert outage.steer(run_id, "abort")
    assert end(outage, run_id) is Outcome.ABORTED
    assert not outage.world.traffic.moves


def test_a_primary_that_returns_while_azure_puts_the_cutover_off_is_seen(outage: Front) -> None:
    run_id = started(outage.watch())
    outage.world.azure.trouble("enable_recovery", "throttled", 20)
    until_phase(outage, run_id, Phase.CUTTING_OVER)
    outage.world.primary.change(alive=True)
    assert end(outage, run_id) is None
    assert "is serving traffic again" in asked(outage, run_id)
    assert not outage.world.traffic.moves


def test_a_yes_to_checks_that_do_not_agree_is_no_yes_to_a_primary_that_serves(outage: Front) -> None:
    detecting(outage, quorum=3)
    outage.world.engine.advance(timedelta(minutes=6))  # The agent's last sign of life grows old.
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.VERIFYING)
    outage.world.primary.change(alive=True, cut="public")
    outage.world.primary.change(cut="private")
    until_phase(outage, run_id, Phase.NEEDS_OPERATOR)
    assert "did not agree" in asked(outage, run_id)
    outage.world.primary.change(heal="public")
    outage.world.primary.change(heal="private")
    outage.world.engine.advance(timedelta(minutes=1))
    assert outage.steer(run_id, "proceed")
    assert end(outage, run_id) is None
    assert "is serving traffic again" in asked(outage, run_id)
    assert not outage.world.traffic.moves


def test_a_primary_that_was_disabled_in_the_portal_as_was_asked_is_disabled(outage: Front) -> None:
    run_id = started(outage.watch())
    outage.world.azure.trouble("disable_primary", "permanent", 2000)
    until_phase(outage, run_id, Phase.NEEDS_OPERATOR)
    assert "in the portal" in asked(outage, run_id)
    outage.world.traffic.switch("primary", False, PORTAL)
    assert outage.steer(run_id, "retry")
    assert end(outage, run_id) is Outcome.SUCCEEDED


def test_machines_to_which_customers_were_sent_by_hand_outlive_an_abort(outage: Front) -> None:
    run_id = started(outage.watch())
    outage.world.azure.trouble("enable_recovery", "permanent", 2000)
    until_phase(outage, run_id, Phase.NEEDS_OPERATOR)
    outage.world.traffic.switch("recovery", True, PORTAL)
    outage.world.traffic.switch("primary", False, PORTAL)
    assert outage.steer(run_id, "abort")
    come_to_rest(outage.world)
    run = outage.world.records.runs[run_id]
    assert run.outcome is Outcome.ABORTED
    assert "its resources were kept" in (run.ended_because or "")
    for _ in range(3):
        outage.housekeeping()
        outage.world.engine.advance(timedelta(minutes=5))
    assert "virtualMachines" in {resource.kind for resource in outage.world.azure.owned(run_id)}
    assert outage.world.records.state.active_site == "recovery"


def test_an_app_too_slow_to_agree_with_itself_brings_a_person(outage: Front) -> None:
    """Every round comes later than the maximum gap, so no agreement is ever unbroken."""
    outage.world.engine.befall("gather_evidence", "slow", 2000)
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.WAITING_FOR_APPROVAL)


def test_a_no_that_comes_while_the_silence_is_being_counted_is_heard(outage: Front) -> None:
    approval = outage.plan.detection.approval.model_copy(update={"then": "proceed"})
    detecting(outage, approval=approval)
    outage.world.primary.change(alive=True, cut="public")
    outage.world.engine.advance(timedelta(minutes=1))
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.WAITING_FOR_APPROVAL)
    outage.world.engine.befall("check_maintenance", "slow", 1)
    outage.world.engine.advance(approval.deadline + timedelta(seconds=10))
    assert outage.steer(run_id, "reject")
    assert end(outage, run_id) is Outcome.REJECTED


def test_a_question_that_is_asked_once_more_is_told_once_more(outage: Front) -> None:
    run_id = started(outage.watch())
    until_phase(outage, run_id, Phase.VERIFYING)
    for _ in range(2):
        outage.world.primary.change(alive=True)
        until_phase(outage, run_id, Phase.NEEDS_OPERATOR)
        outage.world.primary.change(alive=False)
        until_phase(outage, run_id, Phase.VERIFYING)
    assert sum("is serving traffic again" in order.message.text for order in outage.world.notifications) == 2
