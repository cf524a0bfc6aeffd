"""Deleting what a run built, until nothing is left."""

from __future__ import annotations

from datetime import timedelta

from functions.activities.machines import clean_up
from functions.activities.run_record import RecordOrder, record_step
from functions.workflow.context import Doing, RunContext
from shared.models.orders import CleanedUp, CleanUpOrder
from shared.models.plan import RecoveryPlan, RecoveryTerms


def clear_away(work: RunContext, plan: RecoveryPlan, keep_snapshots: bool, of_run: str = "") -> Doing[list[str]]:
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


def delete(work: RunContext, order: CleanUpOrder) -> Doing[CleanedUp]:
    """Deletes until nothing is left or ``operation_timeout`` has passed, and returns what the last attempt found."""
    return (
        yield from work.poll(
            clean_up,
            order,
            done=lambda seen: not seen.left,
            every=lambda elapsed: pause_between_deletions(work.recovery, elapsed),
            limit=work.recovery.operation_timeout,
        )
    )


def pause_between_deletions(recovery: RecoveryTerms, elapsed: timedelta) -> timedelta:
    """First what Azure needs for a machine; then more and more seldom, since what a lock or a lease keeps for an hour
    must not use up the requests that Azure allows.
    """
    return (
        max(recovery.poll_at_least * 2, elapsed * 0.2)
        if elapsed > recovery.expected.delete
        else recovery.expected.delete
    )
