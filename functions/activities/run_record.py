"""The steps that keep a run's record: claim the plan, write decisions, end the run, release the plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df

from functions.activities.base import activity
from shared.models.base import Strict
from shared.models.detection import Trust
from shared.models.errors import LostLockError
from shared.models.runs import CutoverState, Outcome, RecoveryRun
from shared.models.steps import Order, StepEnd
from shared.policy.learned import durations_of
from shared.policy.trust import trust_limitation
from shared.services.end_run import end_orphan, end_run, steps_of
from shared.store import alerts, events, freezing, site_state
from shared.store.runs import last_good_drill, read_run, update_run

bp = df.Blueprint()


class ClaimOrder(Order):
    trust: Trust | None


class Claim(Strict):
    """``must_ask`` says why an automatic run needs approval; ``because`` why the run must not continue.

    ``data_until`` is the moment the replica's data reach at least, and ``home_commits`` the newest commit that was seen
    in each of the primary's databases, as far as known when the run begins. ``down_since`` is the beginning of the
    outage as earlier runs saw it.
    """

    claimed: bool
    because: str = ""
    must_ask: str | None = None
    data_until: datetime | None = None
    home_commits: dict[str, datetime] = {}
    down_since: datetime | None = None


@activity(bp, "around")
async def claim_run(order: ClaimOrder) -> Claim:
    """The first step of every run: a run that has ended, or has lost its plan, ends here without effect."""
    run = await read_run(order.run.run_id)
    if run.outcome is not None:
        return Claim(claimed=False, because=f"The run has already ended: {run.outcome}.")
    try:
        state = await site_state.check_lock(order.run)
    except LostLockError as error:
        taken = (await site_state.read_state(order.run.plan)).active_kind == "failover"
        outcome = Outcome.PREEMPTED if taken else Outcome.FAILED
        await end_orphan(order.run.run_id, str(error), outcome)
        return Claim(claimed=False, because=str(error))
    must_ask = None
    if order.trust or state.failed_back_at:
        good = await last_good_drill(order.run.plan)
        must_ask = trust_limitation(
            order.trust,
            good.ended_at if good else None,
            state.created_at,
            datetime.now(UTC),
            state.failed_back_at,
            changed_since_the_drill=good is not None and good.recovery_hash != run.recovery_hash,
        )
    return Claim(
        claimed=True,
        must_ask=must_ask,
        data_until=state.data_until,
        home_commits=state.home_commits,
        down_since=state.down_since,
    )


class RecordOrder(Order):
    """``changes`` of the run's row.

    Each change has a ``number``, so that a late redelivery does not undo later changes. ``thawed`` is the freezing, by
    its beginning, after which replication resumes. ``of_run`` is an ended run, and ``not_cleared`` its resources that
    could not be deleted.
    """

    number: int = 0
    changes: dict[str, Any] = {}
    thawed: datetime | None = None
    of_run: str = ""
    not_cleared: list[str] = []


class Recorded(Strict):
    """What the row says now. ``abort_asked_by`` names the caller who ended the run before its cutover began, if any."""

    abort_asked_by: str | None = None
    cutover: CutoverState = CutoverState.BEGUN
    ended: bool = False

    @classmethod
    def of(cls, row: RecoveryRun) -> Recorded:
        return cls(abort_asked_by=row.abort_asked_by, cutover=row.cutover, ended=row.outcome is not None)


@activity(bp, "never")
async def record_step(order: RecordOrder) -> Recorded:
    """Writes the orchestrator's decision: a phase, a verdict."""
    recorded = Recorded()
    if order.changes:
        recorded = Recorded.of(await update_run(order.run.run_id, number=order.number, **order.changes))
    if order.thawed:
        await freezing.mark_thawed(order.run.plan, order.thawed)
    if order.of_run:
        await site_state.note_not_cleared(order.run.plan, order.of_run, order.not_cleared)
    return recorded


class SealOrder(Order):
    facts: dict[str, Any]


class Sealed(Strict):
    """``uncopied`` says why the copy of the run's document could not be stored."""

    uncopied: str | None = None

    def as_step(self) -> StepEnd:
        return StepEnd(detail={"uncopied": self.uncopied} if self.uncopied else None)


@activity(bp, "around")
async def seal_run(order: SealOrder) -> Sealed:
    """Writes the end of the run with its measures, and its document."""
    uncopied = await end_run(order.run.run_id, **order.facts)
    if uncopied:
        sentence = f"The document of run {order.run.run_id} could not be copied: {uncopied}."
        await events.record_event(order.run.plan, sentence)
    return Sealed(uncopied=uncopied)


class ReleaseOrder(Order):
    """``well_at`` is when the primary was seen healthy: alerts that fired before are no longer open."""

    cooldown: timedelta | None = None
    well_at: datetime | None = None


@activity(bp, "around")
async def release_run(order: ReleaseOrder) -> Strict:
    """Releases the plan; ``cooldown`` postpones the next check. A run that succeeded leaves how long its steps took."""
    if order.well_at:
        await alerts.close_before(order.run.plan, order.well_at)
    run = await read_run(order.run.run_id)
    teaches = run.outcome is Outcome.SUCCEEDED and run.kind != "failback"
    took = durations_of(await steps_of(run)) if teaches else {}
    await site_state.release_lock(order.run, order.cooldown, took)
    return Strict()
