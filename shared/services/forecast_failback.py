"""What a failback would find now: both sites are asked, and nothing is changed."""

from __future__ import annotations

from datetime import datetime

from shared.models.base import Strict
from shared.models.durations import spoken
from shared.models.plan import RecoveryPlan
from shared.policy.failback import behind, sign_off, why_not_ready
from shared.probes.databases import look_at_both
from shared.services.serving import serving_failover
from shared.services.start_run import why_unsafe
from shared.store import site_state


class FailbackForecast(Strict):
    """``blockers`` would refuse it, or make it wait for an operator; ``question`` is what a person would sign.
    ``lag`` is in seconds; ``stranded`` counts rows that only home has.
    """

    plan: str
    at: datetime
    lag: float | None
    stranded: int | None
    home: dict[str, str]
    azure: dict[str, str]
    does: list[str]
    blockers: list[str]
    question: str


async def forecast_failback(plan: RecoveryPlan) -> FailbackForecast:
    """One look at both sites. Raises ``StorageUnavailableError`` when the site's state cannot be read."""
    state = await site_state.read_state(plan.name)
    seen = await look_at_both(
        plan.commit_probes,
        plan.recovered_commit_probes,
        [probe.http for probe in plan.home_probes if probe.http],
        await serving_failover(plan, state),
        plan.failback.count_query,
    )
    blockers = [problem] if (problem := why_unsafe(state, "failback")) else []
    if state.active_run:
        blockers.append(f"Run {state.active_run} holds the plan.")
    if obstacle := why_not_ready(seen) or behind(seen, plan.failback):
        blockers.append(obstacle)
    facts = seen.facts
    return FailbackForecast(
        plan=plan.name,
        at=seen.at,
        lag=facts["lag"],
        stranded=seen.stranded,
        home=facts["home"],
        azure=facts["azure"],
        does=_does(plan),
        blockers=blockers,
        question=sign_off(seen, plan.failback, pages=any(probe.http for probe in plan.home_probes)),
    )


def _does(plan: RecoveryPlan) -> list[str]:
    terms, traffic = plan.failback, plan.traffic
    return [
        "Wait until home holds nearly everything, then ask for the signature."
        if terms.sign_off == "required"
        else "Wait until home holds nearly everything.",
        "Stop the writes in Azure, copy the rest, and prove home.",
        f"Enable {traffic.primary.endpoint} and disable {traffic.recovery.endpoint} in Traffic Manager.",
        f"Watch home for {spoken(terms.watch_for.total_seconds())}, then wait for `commit`.",
    ]
