"""News: a check that has failed since the last run ended, and the result of one pass over all checks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from shared.models.durations import spoken_moment
from shared.models.evidence import Round
from shared.models.plan import RecoveryPlan
from shared.models.site_state import SiteState
from shared.services.look import look_now
from shared.store import site_state

ALERT_LOOK = 2.0
"""Seconds of checking before an alert is answered: a check that is silent for longer has no data by then."""


def due(state: SiteState) -> str:
    return spoken_moment(state.not_before) if state.not_before else "now"


async def was_known(plan: RecoveryPlan, state: SiteState) -> bool:
    """Whether checks fail now, and all of them were failing when the last run ended. It must be brief."""
    seen = await look_now(plan, ALERT_LOOK)
    return bool(bad_checks(seen)) and not newly_bad(seen, state)


async def turned_bad(plan: RecoveryPlan, state: SiteState) -> list[str]:
    """The checks that fail now and did not when the last run ended. One that recovers may be news again.

    A log that has been silent since before then only reports late what was known, so it is not news.
    """
    seen = await look_now(plan)
    await forget(plan, set(state.known_bad) - bad_checks(seen).keys())
    return newly_bad(seen, state)


def newly_bad(seen: Round, state: SiteState) -> list[str]:
    """The checks that have failed since the last run ended. Traffic Manager, which shares a path with Coldsite's own
    probes, only reports late what was known of that path.
    """
    since = state.cooled_at or seen.at
    known = {e.path for e in seen.evidence if e.direct and e.signal in state.known_bad}
    late = {e.signal for e in seen.evidence if not e.direct and e.path in known}
    bad = bad_checks(seen).items()
    expected = set(state.known_bad) | late
    return sorted(name for name, last_sign in bad if name not in expected and last_sign >= since)


def bad_checks(seen: Round) -> dict[str, datetime]:
    """The checks of the primary that say down, each with the last sign of life that it can have seen."""
    return {
        e.signal: seen.at - timedelta(seconds=e.age)
        for e in seen.evidence
        if e.role == "evidence" and e.counts_as == "down"
    }


async def well_again(plan: RecoveryPlan, state: SiteState) -> SiteState:
    """Traffic Manager reaches the primary: known failures on that path are over, and the status must not show an old
    check that said otherwise.
    """
    if state.known_bad:
        state = await forget(plan, _known_to_traffic_manager(plan))
    if state.last_look and state.last_look.says != "up" and not state.active_run:
        await look_now(plan)
    return state


async def forget(plan: RecoveryPlan, well: set[str]) -> SiteState:
    """These checks are up, so their next failure is news."""

    def change(state: SiteState) -> dict[str, Any]:
        kept = [name for name in state.known_bad if name not in well]
        return {"known_bad": kept} if kept != state.known_bad else {}

    return await site_state.change_state(plan.name, change)


def _known_to_traffic_manager(plan: RecoveryPlan) -> set[str]:
    """The checks that share a path with Traffic Manager's probes: an endpoint that is online was reached by it."""
    signals = plan.detection.signals
    paths = {s.path for s in signals.values() if s.traffic_manager is not None} | {"public"}
    return {name for name, signal in signals.items() if signal.path in paths}
