"""The activities that keep the books of a run: claim, gather evidence, record, seal, tell people, release."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df

from functions.step import step
from shared import evidence
from shared import notify as notifications
from shared.cloud.replication import ReplicaState
from shared.errors import ColdsiteError, LostLockError
from shared.plan import MaintenanceWindow, SqlProbe, Strict, Trust
from shared.policy.maintenance import Maintenance, maintenance
from shared.policy.outage import Round
from shared.policy.trust import trust_limitation
from shared.primary import newest_commits
from shared.records import alert_log, events, journal, site_state
from shared.records.seal_copy import keep_copy
from shared.runs import Order, Outcome, RecoveryRun, StepEnd
from shared.telling import deliver

bp = df.Blueprint()


class ClaimOrder(Order):
    trust: Trust | str


class Claim(Strict):
    """``must_ask`` says why an automatic run needs a person's approval; ``because`` why the run must not go on.

    ``data_until`` is from when the replica's data are at least, and ``home_commits`` the newest commit that was seen in
    each of the primary's databases, as far as is known when the run begins.
    """

    claimed: bool
    because: str = ""
    must_ask: str | None = None
    data_until: datetime | None = None
    home_commits: dict[str, datetime] = {}


@step(bp, "around")
async def claim_run(order: ClaimOrder) -> Claim:
    """The first step of every run: a run that ended, or that lost its plan, ends here without effect."""
    run = await journal.read_run(order.run.run_id)
    if run.outcome is not None:
        return Claim(claimed=False, because=f"The run has already ended: {run.outcome}.")
    try:
        state = await site_state.check_lock(order.run)
    except LostLockError as error:
        taken = run.kind == "drill" and (await site_state.read_state(order.run.plan)).active_kind == "failover"
        outcome = Outcome.PREEMPTED if taken else Outcome.FAILED
        await journal.end_orphan(order.run.run_id, str(error), outcome)
        return Claim(claimed=False, because=str(error))
    must_ask = None
    if isinstance(order.trust, Trust):
        drills = await journal.list_runs(order.run.plan, kind="drill", limit=20)
        good = next((d.ended_at for d in drills if d.outcome is Outcome.SUCCEEDED), None)
        must_ask = trust_limitation(order.trust, good, state.created_at, datetime.now(UTC))
    return Claim(claimed=True, must_ask=must_ask, data_until=state.data_until, home_commits=state.home_commits)


@step(bp, "after")
async def gather_evidence(order: evidence.EvidenceOrder) -> Round:
    """One round: every signal asked once, side by side. What it said is remembered for whoever asks for the status."""
    seen = await evidence.gather(order)
    with contextlib.suppress(ColdsiteError):
        await site_state.note_look(order.run.plan, seen, order.detection.quorum)
    return seen


class MaintenanceOrder(Order):
    windows: list[MaintenanceWindow]


class MaintenanceFound(Strict):
    maintenance: Maintenance | None

    def as_step(self) -> StepEnd:
        return StepEnd(detail={"because": self.maintenance.because} if self.maintenance else None)


@step(bp, "after")
async def check_maintenance(order: MaintenanceOrder) -> MaintenanceFound:
    """Whether somebody works on the site now, so that nothing may fail over by itself."""
    state = await site_state.read_state(order.run.plan)
    found = maintenance(order.windows, state.paused_until, state.pause_reason, datetime.now(UTC))
    return MaintenanceFound(maintenance=found)


class RecordOrder(Order):
    """``changes`` of the run's row.

    Each change has a ``number``, so that one that is given again late does not undo those after it. ``thawed`` is the
    freezing, by its beginning, after which the replica goes on. ``of_run`` is an ended run, and ``not_cleared`` what of
    it could not be cleared away.
    """

    number: int = 0
    changes: dict[str, Any] = {}
    thawed: datetime | None = None
    of_run: str = ""
    not_cleared: list[str] = []


class Recorded(Strict):
    """What the row says now. ``abort_asked_by`` is who ended the run, if anybody did before its cutover began."""

    abort_asked_by: str | None = None
    cutover_began: bool = True
    ended: bool = False

    @classmethod
    def of(cls, row: RecoveryRun) -> Recorded:
        return cls(abort_asked_by=row.abort_asked_by, cutover_began=row.cutover_began, ended=row.outcome is not None)


@step(bp, "never")
async def record_step(order: RecordOrder) -> Recorded:
    """Writes what the orchestrator decided: a phase, a verdict."""
    recorded = Recorded()
    if order.changes:
        recorded = Recorded.of(await journal.update_run(order.run.run_id, number=order.number, **order.changes))
    if order.thawed:
        await site_state.mark_thawed(order.run.plan, order.thawed)
    if order.of_run:
        await site_state.note_not_cleared(order.run.plan, order.of_run, order.not_cleared)
    return recorded


class ReplicaOrder(Order):
    """What a script said of the replica at the moment ``at``, or why it could not be asked. ``probes`` ask the primary
    for its newest commit.
    """

    at: datetime
    probes: list[SqlProbe]
    state: ReplicaState | None = None
    problem: str | None = None


@step(bp, "never")
async def note_replica(order: ReplicaOrder) -> Strict:
    """Remembers how the replica is, and the newest commit at the primary, which cannot be asked once it is lost."""
    commits = await newest_commits(order.probes)
    await site_state.note_replica(order.run.plan, order.at, order.state, order.problem, commits)
    return Strict()


class PointNoteOrder(Order):
    """``trouble`` says why the timer's newest recovery point could not be taken; None when it was."""

    trouble: str | None = None


@step(bp, "never")
async def note_point(order: PointNoteOrder) -> Strict:
    """Remembers what became of the timer's newest recovery point; housekeeping warns of what is missing."""
    now = datetime.now(UTC)
    await site_state.change_state(order.run.plan, lambda state: site_state.point_ended(state, now, order.trouble))
    return Strict()


class SealOrder(Order):
    facts: dict[str, Any]


class Sealed(Strict):
    """``uncopied`` says why the seal's copy could not be kept."""

    uncopied: str | None = None

    def as_step(self) -> StepEnd:
        return StepEnd(detail={"uncopied": self.uncopied} if self.uncopied else None)


@step(bp, "around")
async def seal_run(order: SealOrder) -> Sealed:
    """Writes the end of the run with its measures, seals it, and keeps a copy of the seal out of everybody's reach."""
    run = await journal.seal_run(order.run.run_id, **order.facts)
    uncopied = await keep_copy(run)
    if uncopied:
        await events.record_event(run.plan, f"The copy of run {run.run_id}'s seal could not be kept: {uncopied}.")
    return Sealed(uncopied=uncopied)


@step(bp, "around")
async def notify(order: notifications.NotifyOrder) -> Strict:
    """Tells one address. What it does not take is tried again by the engine, is a warning of the plan meanwhile, and
    never stops a run.
    """
    await deliver(order)
    return Strict()


class ReleaseOrder(Order):
    """``well_at`` is when the primary was seen to be well: alerts that fired before are no longer open."""

    cooldown: timedelta | None = None
    well_at: datetime | None = None


@step(bp, "around")
async def release_run(order: ReleaseOrder) -> Strict:
    """Gives the plan back; ``cooldown`` postpones the next look."""
    if order.well_at:
        await alert_log.close_before(order.run.plan, order.well_at)
    await site_state.release_lock(order.run, order.cooldown)
    return Strict()
