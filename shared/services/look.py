"""One pass of evidence outside a run: for the timers, for an operator, for `coldsite check`."""

from __future__ import annotations

from datetime import timedelta

from shared.models.detection import Signal
from shared.models.evidence import Round
from shared.models.orders import Sources
from shared.models.plan import RecoveryPlan
from shared.probes.evidence import gather
from shared.store import site_state

INTERACTIVE_LIMIT = 10.0
"""Seconds. A pass for an interactive call must be quick enough to wait for."""
_LONGEST_PROBE = timedelta(seconds=8)


async def look_now(plan: RecoveryPlan, at_most: float | None = None) -> Round:
    """One pass of evidence; a complete one is stored for the status."""
    seen = await gather(Sources.of(plan), at_most)
    if at_most is None:  # A shortened check reports a silent site as unclear.
        await site_state.note_look(plan.name, seen, plan.detection.quorum)
    return seen


async def look_briefly(plan: RecoveryPlan) -> Round:
    """Every signal asked once, ten seconds at most: a longer time-out is cut here, so that a dark site is reported as
    down and not as unknown.
    """
    return await _ask(plan, plan.detection.signals)


async def look_directly(plan: RecoveryPlan) -> Round:
    """Only Coldsite's own probes of both sites, once: cheap enough for every twenty seconds."""
    return await _ask(plan, {name: s for name, s in plan.detection.signals.items() if s.http or s.sql})


async def _ask(plan: RecoveryPlan, signals: dict[str, Signal]) -> Round:
    brief = plan.detection.model_copy(update={"signals": {name: _brief(signal) for name, signal in signals.items()}})
    return await gather(Sources.of(plan).model_copy(update={"detection": brief}), INTERACTIVE_LIMIT)


def _brief(signal: Signal) -> Signal:
    changes = {
        kind: probe.model_copy(update={"timeout": min(probe.timeout, _LONGEST_PROBE)})
        for kind, probe in (("http", signal.http), ("sql", signal.sql))
        if probe is not None
    }
    return signal.model_copy(update=changes)
