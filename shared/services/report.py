"""The report of a run: the decision, the timeline, objectives against measurements, what was lost and left, who did
what.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from shared.models.base import Strict
from shared.models.durations import spoken_moment
from shared.models.plan import RecoveryPlan
from shared.models.runs import RecoveryRun
from shared.policy.learned import as_learned
from shared.policy.progress import Measure, StepLine, progress
from shared.services.end_run import steps_of
from shared.services.verify_history import verify_history
from shared.store import events, site_state
from shared.store.runs import read_run

_EVENTS_SEARCHED = 500


class RunReport(Strict):
    """``left`` are resources that could not be deleted; ``people`` what people did, oldest first. ``history`` says
    whether the plan's history verifies; ``same_plan`` is False where the plan has changed since the run.
    """

    run: RecoveryRun
    title: str
    time_zone: str
    written_at: datetime
    measures: list[Measure]
    timeline: list[StepLine]
    left: list[str]
    people: list[str]
    history: str
    same_plan: bool


async def write_report(plan: RecoveryPlan, run_id: str) -> RunReport:
    """The report as of now, also of a run in progress. Raises ``UnknownRunError``."""
    run = await read_run(run_id)
    steps, state, journal, chain = await asyncio.gather(
        steps_of(run),
        site_state.read_state(plan.name),
        events.list_events(plan.name, _EVENTS_SEARCHED),
        verify_history(plan.name),
    )
    now = datetime.now(UTC)
    people = [f"{spoken_moment(event.at)}: {event.text}" for event in reversed(journal) if run_id in event.text]
    return RunReport(
        run=run,
        title=plan.title,
        time_zone=plan.time_zone,
        written_at=now,
        measures=_measures(plan, run),
        timeline=progress(plan if run.outcome else as_learned(plan, state.durations), run, steps, now),
        left=state.not_cleared.get(run_id, []),
        people=people,
        history=chain.sentence(),
        same_plan=run.plan_hash == plan.hash,
    )


def _measures(plan: RecoveryPlan, run: RecoveryRun) -> list[Measure]:
    if run.kind == "failback":
        return []
    goals = plan.objectives
    lost = "Data older than the recovery point" if run.kind == "drill" else "Data loss"
    return [
        Measure(
            name="Recovery time",
            objective=goals.recovery_time.total_seconds(),
            measured=run.recovery_time_actual,
        ),
        Measure(name=lost, objective=goals.recovery_point.total_seconds(), measured=run.recovery_point_actual),
    ]
