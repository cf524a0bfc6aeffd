"""Whether observing was right: the state of the primary after a run that only observed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.models.orders import Sources
from shared.models.plan import RecoveryPlan
from shared.models.runs import Hindsight, Outcome, RecoveryRun
from shared.policy.outage import primary_serves
from shared.probes.evidence import gather
from shared.store.runs import last_good_drill, list_runs, update_run

_LOOKS_BACK_ON = 20


async def look_back(plan: RecoveryPlan) -> None:
    """Judges an observed failover: would it have been right?

    A failover takes as long as the last successful drill, else the objective. The resolution is housekeeping's
    interval.
    """
    runs = await list_runs(plan.name, kind="failover", limit=_LOOKS_BACK_ON)
    waiting = [r for r in runs if r.outcome is Outcome.OBSERVED and r.hindsight is None and _decided(r)]
    if not waiting:
        return
    back = primary_serves((await gather(Sources.of(plan))).evidence)
    takes, now = (await _failover_takes(plan)).total_seconds(), datetime.now(UTC)
    for run in waiting:
        assert run.ended_at is not None
        hindsight = Hindsight(out_for=(now - run.ended_at).total_seconds(), back=back, failover_takes=takes)
        if back or hindsight.right:
            await update_run(run.run_id, hindsight=hindsight)


def _decided(run: RecoveryRun) -> bool:
    """Whether the run would have failed over by itself: a run that would have required approval is not judged."""
    return run.ended_at is not None and (run.verdict_detail or {}).get("decision") == "confirmed"


async def _failover_takes(plan: RecoveryPlan) -> timedelta:
    drill = await last_good_drill(plan.name)
    seconds = drill.recovery_time_actual if drill else None
    return plan.objectives.recovery_time if seconds is None else timedelta(seconds=seconds)
