"""Invariants of every world: some hold at any moment, the rest once the world is at rest."""

from __future__ import annotations

from datetime import timedelta

from shared.models.runs import Outcome, Phase
from tests.model.engine import Instance
from tests.model.site import HOUSEKEEPING, PORTAL
from tests.model.world import World

WAITING = {Phase.WAITING_FOR_APPROVAL, Phase.NEEDS_OPERATOR}
ADMITTED = ("leanup is incomplete", "stopped unexpectedly", "no longer holds")
"""How a run reports leftovers: it could not delete them, or ended before it could."""
KEEPERS = {"take_set", "thaw_replica", "clear_leftovers"}
"""These may fail: no customers wait for them, and housekeeping retries."""


def check_always(world: World) -> None:
    _no_orchestration_breaks(world)
    _one_failover_at_a_time(world)
    _customers_have_one_site(world)
    _the_latch_holds(world)
    _an_abort_is_kept(world)
    _a_drill_that_worked_left_nothing(world)


def check_that_all_rests(world: World) -> None:
    """At rest in a world that may still have faults: resources that cannot be deleted may remain."""
    check_always(world)
    _every_run_ends_or_waits(world)


def check_what_runs_say(world: World) -> None:
    """At rest, before housekeeping runs: a run has reported its leftovers and a frozen replica."""
    for run in world.records.runs.values():
        reason = run.ended_because or ""
        if run.is_leftover and not any(word in reason for word in ADMITTED):
            left = [r.name for r in world.azure.owned(run.run_id) if r.kind != "snapshots" or not run.keeps_its_point]
            assert not left, f"{run.run_id} ({reason}) says nothing of {left}"
            frozen = world.replica.frozen and world.records.state.frozen_by == run.run_id
            assert not frozen or "could not be thawed" in reason, (
                f"{run.run_id} ({reason}) says nothing of the frozen replica"
            )


def check_at_rest(world: World) -> None:
    check_that_all_rests(world)
    _nothing_is_left_over(world)
    _the_replica_goes_on(world)


def _running(world: World) -> list[Instance]:
    return [instance for instance in world.engine.instances.values() if instance.status == "running"]


# At any moment


def _no_orchestration_breaks(world: World) -> None:
    """A run that could not even claim its plan may fail: its lock is stale then, and other runs continue."""
    for instance in world.engine.instances.values():
        broken = instance.failure is not None and "Activity task #1 failed" not in instance.failure.errorMessage
        assert not broken or instance.name in KEEPERS, f"{instance.id} broke: {instance.failure}"


def _one_failover_at_a_time(world: World) -> None:
    runs = world.records.runs
    at_work = [i.id for i in _running(world) if i.name == "failover" and runs[i.id].outcome is None]
    assert len(at_work) <= 1, f"failovers at work side by side: {at_work}"


def _customers_have_one_site(world: World) -> None:
    """Both endpoints are enabled only during a cutover, and one always is."""
    traffic, runs = world.traffic, world.records.runs
    assert traffic.primary or traffic.recovery, "no endpoint is enabled"
    for move in traffic.moves:
        if move.by in (PORTAL, HOUSEKEEPING):
            continue
        run = runs[move.by]
        assert run.kind == "failover" and run.cutover.is_committed, f"{move} is not explained by the row of its run"
    moved = any(run.cutover.is_committed for run in runs.values())
    assert world.records.state.active_site == "primary" or moved, "the active site changed, and no run cut over"
    if traffic.primary and traffic.recovery and traffic.moves[-1].by != PORTAL:
        moving = runs[traffic.moves[-1].by]
        lost = moving.outcome is Outcome.FAILED
        assert moving.outcome is None or lost, f"both endpoints are enabled, and {moving.run_id} has ended"


def _the_latch_holds(world: World) -> None:
    """After a cutover the customers stay where they are, and the replica stays unchanged."""
    for run in world.records.runs.values():
        if run.kind == "failover" and run.outcome is Outcome.SUCCEEDED:
            traffic, thawed_at = world.traffic, world.replica.thawed_at
            assert traffic.recovery, f"{run.run_id} succeeded, and its site is not enabled"
            assert not traffic.primary or traffic.moves[-1].by == PORTAL, f"{run.run_id} succeeded without a latch"
            moved_at = next(m.at for m in traffic.moves if m.by == run.run_id)
            assert not thawed_at or thawed_at < moved_at, (
                f"the replica was thawed after {run.run_id} moved the customers"
            )


def _an_abort_is_kept(world: World) -> None:
    """An accepted abort ends the failover."""
    for run in world.records.runs.values():
        if run.abort_asked_by and run.kind == "failover":
            moved = run.cutover.is_committed or run.outcome is Outcome.SUCCEEDED
            assert not moved, f"{run.run_id} moves the customers, and was aborted by {run.abort_asked_by}"


def _a_drill_that_worked_left_nothing(world: World) -> None:
    for run in world.records.runs.values():
        if run.kind == "drill" and run.outcome is Outcome.SUCCEEDED:
            assert not world.azure.owned(run.run_id), f"{run.run_id} succeeded, and left something behind"


# At rest


def _every_run_ends_or_waits(world: World) -> None:
    records = world.records
    for instance in _running(world):
        assert _waits(world, instance), f"{instance.id} neither ends nor waits: {records.runs.get(instance.id)}"
    for run in records.runs.values():
        if run.outcome is None:
            assert world.engine.state(run.run_id) == "running", f"{run.run_id} stands at {run.phase} for ever"
            assert records.state.active_run == run.run_id, f"{run.run_id} waits without holding the plan"
        else:
            assert run.phase is Phase.COMPLETED and run.document, f"{run.run_id} ended without an end: {run}"
    holder = records.state.active_run
    assert holder is None or records.runs[holder].outcome is None, f"{holder} is over and still holds the plan"


def _nothing_is_left_over(world: World) -> None:
    known = set(world.records.runs)
    for resource in world.azure.resources.values():
        owner = resource.tags.get("coldsite-run")
        assert owner is None or owner in known, f"{resource.name} has no owner"
    for run in world.records.runs.values():
        left = [r for r in world.azure.owned(run.run_id) if r.kind != "snapshots" or not run.keeps_its_point]
        in_service = run.outcome is None or run.cutover.is_committed
        assert not left or in_service, f"{run.run_id} ({run.outcome}) left {[r.name for r in left]}"


def _the_replica_goes_on(world: World) -> None:
    """The replica is frozen only for a failover in progress, or while customers may be served from it."""
    if world.replica.frozen and world.records.state.active_site == "primary":
        by = world.records.runs.get(world.records.state.frozen_by or "")
        holds = by is not None and by.kind == "failover" and (by.outcome is None or by.cutover.is_committed)
        assert holds, f"the replica is frozen at rest, by {world.records.state.frozen_by}"


SOON, LATER, NEVER = timedelta(minutes=1), timedelta(hours=1), timedelta(hours=12)
"""How long due events are awaited while all runs wait for an operator, and otherwise; and the limit for endless ones."""


def come_to_rest(world: World) -> None:
    """Advances until nothing is due, or until all runs wait for an operator and nothing is due soon."""
    engine, end = world.engine, world.clock() + NEVER
    while (due := engine.next_due) is not None:
        wait = due - engine.now
        if wait > LATER or (wait > SOON and all(_waits(world, instance) for instance in _running(world))):
            return
        assert due <= end, f"there is no end of it: {[instance.id for instance in _running(world)]}"
        engine.advance(wait)


def _waits(world: World, instance: Instance) -> bool:
    run = world.records.runs.get(instance.id)
    return run is not None and run.phase in WAITING
