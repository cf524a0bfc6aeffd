"""Deleting what a run built, until nothing is left."""

from __future__ import annotations

from datetime import timedelta

from functions.activities.machines import clean_up
from functions.activities.run_record import RecordOrder, record_step
from functions.workflow.context import Doing, RunContext
from shared.models.orders import CleanedUp, CleanUpOrder
from shared.models.plan import RecoveryPlan, RecoveryTerms


def clear_disks(work: RunContext, plan: RecoveryPlan) -> Doing[list[str]]:
    """Deletes the disks of a run that has built nothing else yet, and returns what could not be deleted in time."""
    order = CleanUpOrder(run=work.run, target="disks", group=plan.recovery.resource_group, keep_snapshots=True)
    return (yield from delete(work, order, first=work.recovery.expected.disk)).still_there


def delete_within_limit(work: RunContext, plan: RecoveryPlan) -> Doing[list[str]]:
    """Deletes what a run without machines has made, for at most as long as a deletion usually takes: the plan stays
    locked meanwhile. Returns what is left for housekeeping.
    """
    order = CleanUpOrder(run=work.run, target="run", group=plan.recovery.resource_group)
    expected = work.recovery.expected
    return (yield from delete(work, order, first=expected.disk, limit=expected.delete)).still_there


def delete_built(work: RunContext, plan: RecoveryPlan, keep_snapshots: bool, of_run: str = "") -> Doing[list[str]]:
    """Deletes what the run (or ``of_run``, which has ended) built until nothing is left, and returns what could not be
    deleted in time: with Azure's reason where it gave one, else the resource's id.
    """
    order = CleanUpOrder(
        run=work.run,
        target="run",
        group=plan.recovery.resource_group,
        keep_snapshots=keep_snapshots,
        of_run=of_run,
    )
    left = (yield from delete(work, order)).still_there
    if left or of_run:
        note = RecordOrder(run=work.run, of_run=of_run or work.run.run_id, not_cleared=left)
        yield from work.do(record_step, note)
    return left


def delete(
    work: RunContext, order: CleanUpOrder, *, first: timedelta | None = None, limit: timedelta | None = None
) -> Doing[CleanedUp]:
    """Deletes until nothing is left or ``limit`` (by default ``operation_timeout``) has passed, and returns what the
    last attempt found. ``first`` is how long the deletion is expected to take, by default as long as a machine's.
    """
    return (
        yield from work.poll(
            clean_up,
            order,
            done=lambda seen: not seen.left,
            every=lambda elapsed: pause_between_deletions(work.recovery, elapsed, first),
            limit=limit or work.recovery.operation_timeout,
        )
    )


def pause_between_deletions(recovery: RecoveryTerms, elapsed: timedelta, first: timedelta | None = None) -> timedelta:
    """First what Azure needs (``first``, or as long as for a machine); then more and more seldom, since what a lock or
    a lease keeps for an hour must not use up the requests that Azure allows.
    """
    expected = first or recovery.expected.delete
    return max(recovery.poll_at_least * 2, elapsed * 0.2) if elapsed > expected else expected
