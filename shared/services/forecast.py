"""What a failover or a drill would do now: expected duration, data at risk, and what stands in its way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Literal

from shared.models.base import Strict
from shared.models.durations import spoken, spoken_moment
from shared.models.operations import PointInTime
from shared.models.plan import RecoveryPlan
from shared.models.site_state import SiteState
from shared.policy.learned import as_learned
from shared.policy.loss import loss_question
from shared.policy.timeline import ExpectedStep, expected_timeline
from shared.services.start_run import takes_over, why_unsafe
from shared.store import site_state
from shared.store.runs import last_good_drill


class Forecast(Strict):
    """The forecast of a run that is not started. Seconds, from the decision on.

    ``measured_seconds`` is the recovery time of the last successful drill, measured from its request. ``data_until`` is
    the moment Azure's data reach at least, and ``data_age`` its age now; None where it is unknown. ``blockers`` are
    what would refuse the run, ``warnings`` what it would run into.
    """

    plan: str
    kind: Literal["failover", "drill"]
    at: datetime
    expected_seconds: float
    steps: list[ExpectedStep]
    measured_seconds: float | None
    data_until: datetime | None
    data_age: float | None
    does: list[str]
    blockers: list[str]
    warnings: list[str]


async def learned_plan(plan: RecoveryPlan) -> RecoveryPlan:
    """The plan that expects what earlier runs took."""
    return as_learned(plan, (await site_state.read_state(plan.name)).durations)


async def forecast(plan: RecoveryPlan, kind: Literal["failover", "drill"]) -> Forecast:
    """The forecast, from stored state only: no site and no Azure service is asked, and nothing is started."""
    state, drill = await asyncio.gather(site_state.read_state(plan.name), last_good_drill(plan.name))
    now = datetime.now(UTC)
    until = state.data_until
    learned = as_learned(plan, state.durations)
    steps = [step for step in expected_timeline(learned) if kind == "failover" or step.target != "customers"]
    takes = max(step.ends for step in steps)
    return Forecast(
        plan=plan.name,
        kind=kind,
        at=now,
        expected_seconds=takes,
        steps=steps,
        measured_seconds=drill.recovery_time_actual if drill else None,
        data_until=until,
        data_age=max(0.0, (now - until).total_seconds()) if until else None,
        does=[*_does(plan, kind), _cost(plan, kind, takes)],
        blockers=await _blockers(state, kind),
        warnings=_warnings(plan, state, kind, now),
    )


def _does(plan: RecoveryPlan, kind: Literal["failover", "drill"]) -> list[str]:
    machines = ", ".join(f"{name} ({workload.sizes[0]})" for name, workload in plan.recovery.workloads.items())
    frozen = "freeze the replica and " if plan.replication.scripts else ""
    snapshots = sum(len(plan.workload_disks(name)) for name in plan.recovery.workloads)
    first = f"{frozen}take one recovery point of {snapshots} disks"
    kept = spoken(plan.drill.keep_for.total_seconds())
    last = (
        f"Delete all of it after {kept}; customers are not touched"
        if kind == "drill"
        else f"Enable {plan.traffic.recovery.endpoint} and disable {plan.traffic.primary.endpoint} in Traffic Manager"
    )
    return [f"{first[0].upper()}{first[1:]}.", f"Build {machines}.", f"{last}."]


def _cost(plan: RecoveryPlan, kind: Literal["failover", "drill"], seconds: float) -> str:
    """What is billed, and how much where the plan says it."""
    price = plan.recovery.price_per_hour
    disks = sum(len(plan.workload_disks(name)) for name in plan.recovery.workloads)
    billed = f"{len(plan.recovery.workloads)} machines, {disks} disks and {disks} snapshots are billed while they exist"
    if price is None:
        return f"{billed} (docs/cost.md; with recovery.price_per_hour in the plan Coldsite says how much)."
    if kind == "failover":
        return f"{billed}: about {price.of(1)} an hour, {price.of(24)} a day."
    return f"{billed}: about {price.of((seconds + plan.drill.keep_for.total_seconds()) / 3600)} for this drill."


async def forecast_rebuild(
    plan: RecoveryPlan, state: SiteState, names: list[str], point: PointInTime | None, blockers: list[str]
) -> Forecast:
    """The forecast of building ``names`` again in Azure from ``point``, while customers are served there."""
    now, learned = datetime.now(UTC), as_learned(plan, state.durations)
    until = (point.holds_until or point.taken_at) if point else None
    steps = [
        step
        for step in expected_timeline(learned)
        if step.target in (*names, "all") and step.name != "take_recovery_point"
    ]
    machines = ", ".join(f"{name} ({plan.recovery.workloads[name].sizes[0]})" for name in names)
    of = spoken_moment(until) if until else "an unknown moment"
    held = f"Run {state.active_run} holds the plan." if state.active_run else None
    return Forecast(
        plan=plan.name,
        kind="failover",
        at=now,
        expected_seconds=plan.recovery.expected.delete.total_seconds()
        + max((step.ends for step in steps), default=0.0),
        steps=steps,
        measured_seconds=None,
        data_until=until,
        data_age=max(0.0, (now - until).total_seconds()) if until else None,
        does=[
            f"Delete the machines of {', '.join(names) or 'nothing'} in Azure, and keep their disks.",
            f"Build {machines or 'nothing'} again from the recovery point of {of}; later changes are lost.",
            "Customers stay in Azure; Traffic Manager is not touched.",
        ],
        blockers=[*blockers, *([held] if held else [])],
        warnings=list(state.warnings.values()),
    )


async def _blockers(state: SiteState, kind: Literal["failover", "drill"]) -> list[str]:
    found = [problem] if (problem := why_unsafe(state, kind)) else []
    if state.active_run and not await takes_over(state, kind, "operator"):
        found.append(f"Run {state.active_run} holds the plan.")
    return found


def _warnings(plan: RecoveryPlan, state: SiteState, kind: Literal["failover", "drill"], now: datetime) -> list[str]:
    loss = loss_question(state.data_until, now, plan.loss_limit, relative="ago") if kind == "failover" else None
    interrupted = (
        [f"The drill {state.active_run} would be interrupted."]
        if kind == "failover" and state.active_kind == "drill"
        else []
    )
    return [*([loss] if loss else []), *interrupted, *state.warnings.values()]
