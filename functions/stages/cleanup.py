"""Deleting what a run built, until nothing is left."""

from __future__ import annotations

from functions.activities.machines import clean_up
from functions.activities.run_record import RecordOrder, record_step
from functions.workflow.context import Doing, RunContext
from shared.models.orders import CleanUpOrder
from shared.models.plan import RecoveryPlan


def clear_away(work: RunContext, plan: RecoveryPlan, keep_snapshots: bool, of_run: str = "") -> Doing[list[str]]:
    """Deletes what the run (or ``of_run``, which has ended) built until nothing is left, and returns what could not be
    deleted in time: with Azure's reason where it gave one, else the resource's id.
    """
    attempt, began = 1, work.now
    while True:
        order = CleanUpOrder(
            run=work.run,
            target="run",
            attempt=attempt,
            group=plan.recovery.resource_group,
            keep_snapshots=keep_snapshots,
            of_run=of_run,
        )
        result = yield from work.do(clean_up, order)
        if not result.left or work.now - began > plan.recovery.operation_timeout:
            left = result.still_there
            if left or of_run:
                whose = of_run or work.run.run_id
                note = RecordOrder(run=work.run, of_run=whose, not_cleared=left)
                yield from work.do(record_step, note)
            return left
        yield from work.sleep(plan.recovery.expected.delete if attempt == 1 else plan.recovery.poll_at_least * 2)
        attempt += 1
