"""What an insurer or an auditor asks of a plan: its drills and failovers in a period against its objectives, and
whether the history is intact.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from shared.models.base import Strict
from shared.models.plan import RecoveryPlan
from shared.models.runs import Outcome, RecoveryRun
from shared.services.verify_history import verify_history
from shared.store.runs import list_runs

_MOST = 1000
LONGEST = timedelta(days=3660)


class EvidenceRow(Strict):
    """One run. Seconds; ``met`` is whether both objectives were met, None where nothing was measured."""

    run_id: str
    kind: str
    began: datetime
    ended: datetime | None
    outcome: str
    started_by: str
    recovery_time: float | None
    recovery_point: float | None
    met: bool | None
    document: int | None
    sha256: str | None


class PlanEvidence(Strict):
    """The runs of a period, oldest first. ``history`` says whether the plan's history verifies as a whole."""

    plan: str
    title: str
    since: datetime
    until: datetime
    written_at: datetime
    recovery_time_objective: float
    recovery_point_objective: float
    drills: int
    drills_succeeded: int
    failovers: int
    longest_recovery: float | None
    history: str
    runs: list[EvidenceRow]


async def gather_evidence_of(plan: RecoveryPlan, since: datetime, until: datetime) -> PlanEvidence:
    """The evidence of ``since`` to ``until``, from stored state only. At most the newest thousand runs are read."""
    found, chain = await asyncio.gather(list_runs(plan.name, limit=_MOST), verify_history(plan.name))
    goals = plan.objectives.recovery_time.total_seconds(), plan.objectives.recovery_point.total_seconds()
    counts = [run for run in reversed(found) if since <= run.started_at < until and run.outcome and not run.replaces]
    rows = [_row(run, goals) for run in counts]
    drills = [row for row in rows if row.kind == "drill"]
    measured = [row.recovery_time for row in rows if row.recovery_time is not None]
    return PlanEvidence(
        plan=plan.name,
        title=plan.title,
        since=since,
        until=until,
        written_at=datetime.now(UTC),
        recovery_time_objective=goals[0],
        recovery_point_objective=goals[1],
        drills=len(drills),
        drills_succeeded=sum(row.outcome == Outcome.SUCCEEDED.value for row in drills),
        failovers=sum(row.kind == "failover" and row.outcome == Outcome.SUCCEEDED.value for row in rows),
        longest_recovery=max(measured, default=None),
        history=chain.sentence(),
        runs=rows,
    )


def _row(run: RecoveryRun, goals: tuple[float, float]) -> EvidenceRow:
    measured = run.recovery_time_actual, run.recovery_point_actual
    known = [(value, goal) for value, goal in zip(measured, goals, strict=True) if value is not None]
    return EvidenceRow(
        run_id=run.run_id,
        kind=run.kind,
        began=run.started_at,
        ended=run.ended_at,
        outcome=run.outcome.value if run.outcome else "",
        started_by=run.person or run.trigger,
        recovery_time=measured[0],
        recovery_point=measured[1],
        met=all(value <= goal for value, goal in known) if known else None,
        document=run.document,
        sha256=run.sha256,
    )
