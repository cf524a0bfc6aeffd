"""What makes Coldsite look by itself: an alert that arrives, and the watch that misses nothing.

Metric alerts are stateful: no second "Fired" comes for the same outage. So alerts are the quick way in and the watch is
the sure one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from azure.core.exceptions import AzureError

from shared.alerts import Alert, Meaning, match_plan, parse_alert
from shared.cloud.traffic import read_endpoint
from shared.errors import PlanBusyError, RefusedError, StorageUnavailableError
from shared.evidence import EvidenceOrder, gather
from shared.names import EVENT_ALERT
from shared.orphans import Hub
from shared.plan import RecoveryPlan, Strict
from shared.policy.outage import Round
from shared.records import alert_log, site_state
from shared.records.alert_log import Received
from shared.records.site_state import SiteState
from shared.runs import RunRef
from shared.starting import begin_run, is_postponed, lock_is_stale, may_look
from shared.telling import FAILED
from shared.together import Together

_log = logging.getLogger("coldsite.watch")
ANSWER_WITHIN = 4.0
"""Seconds. An action group waits longer, but a storm must not pile up."""
ALERT_LOOK = 2.0
"""Seconds of looking before an alert is answered: a check that is silent for longer says nothing by then."""


class AlertAnswer(Strict):
    """What became of an alert. ``run_id`` is the run that it started or that it belongs to."""

    plan: str
    run_id: str | None
    answer: str


class News(NamedTuple):
    """An alert, the plan that it is about, and what it means there."""

    alert: Alert
    plan: RecoveryPlan
    meaning: Meaning
    hub: Hub


async def react_to_alert(body: bytes, plans: Iterable[RecoveryPlan], hub: Hub) -> AlertAnswer:
    """Parses, matches, remembers and acts. Raises ``AlertError`` for what cannot be used, and
    ``StorageUnavailableError`` when there is no answer within ``ANSWER_WITHIN``: an action group then sends again.

    "Fired" starts a run where none is active; "Resolved" informs a run and never starts a failback. Alerts that arrive
    together are answered together.
    """
    alert = parse_alert(body)
    plan, meaning = match_plan(alert, plans)
    asked = _together.setdefault(plan.name, Together(_react, alert_log.AT_ONCE))
    try:
        return await asyncio.wait_for(asked.ask(News(alert, plan, meaning, hub)), ANSWER_WITHIN)
    except TimeoutError:
        raise StorageUnavailableError("Too many alerts at once, or the history is slow. Send it again.") from None


async def _react(news: list[News]) -> list[AlertAnswer]:
    """Answers alerts of one plan: each is written down first, so that none is lost, and acted on after."""
    plan = news[0].plan
    unique = {one.alert.dedupe_key: one for one in news}
    opening = {one.alert.alert_id for one in news if one.meaning == "primary_down"}
    told = await alert_log.keep(plan.name, [one.alert for one in unique.values()], opening)
    fresh = {key: one for key, one in unique.items() if key not in told}
    became = await _act(plan, fresh)
    await alert_log.answer(plan.name, became)
    again = {
        key: AlertAnswer(plan=plan.name, run_id=one.run_id, answer="This news was already received.")
        for key, one in told.items()
    }
    first = {key: AlertAnswer(plan=plan.name, run_id=one.run_id, answer=one.answer) for key, one in became.items()}
    return [(again | first)[one.alert.dedupe_key] for one in news]


async def _act(plan: RecoveryPlan, fresh: dict[str, News]) -> dict[str, Received]:
    noted = Received(run_id=None, answer="Noted; an alert of this kind starts nothing.")
    became = dict.fromkeys(fresh, noted)
    firing = [key for key, one in fresh.items() if one.meaning == "primary_down"]
    if firing:
        first = fresh[firing[0]]
        run_id, answer = await _look(plan, first.hub, f"Alert {first.alert.rule}")
        became |= dict.fromkeys(firing, Received(run_id=run_id, answer=answer))
    for key, one in fresh.items():
        if one.meaning == "primary_resolved":
            became[key] = await _resolve(plan, one)
    return became


async def _resolve(plan: RecoveryPlan, news: News) -> Received:
    await alert_log.close(plan.name, news.alert.alert_id)
    state = await site_state.read_state(plan.name)
    if state.active_run is None:
        return Received(run_id=None, answer="Noted: the alert is resolved. Going back is never automatic.")
    if state.active_kind != "failover":
        return Received(run_id=None, answer="Noted: the alert is resolved.")
    told = {"rule": news.alert.rule, "condition": news.alert.condition}
    await news.hub.send(state.active_run, EVENT_ALERT, told)
    return Received(run_id=state.active_run, answer="The run that is under way was told that the alert is resolved.")


async def _look(plan: RecoveryPlan, hub: Hub, reason: str) -> tuple[str | None, str]:
    """Starts a run for an alert, or says why none is started. An alert is news, so it ends a cooldown; not so where
    everything that is bad now was known then: a second rule of the same outage must not undo what a person decided.
    """
    state = await site_state.change_state(plan.name, lambda before: {})
    if state.active_run and state.active_kind == "failover" and not await lock_is_stale(state, hub):
        return state.active_run, "A run is already under way."
    if why_not := may_look(state):
        return None, f"Noted. {why_not}"
    if is_postponed(state, datetime.now(UTC)) and await _was_known(plan, state):
        return None, f"Noted. What is bad was known when the last run ended; the next look is due at {_due(state)}."
    try:
        run = await begin_run(hub, plan, "failover", plan.detection.mode, "alert", reason)
    except PlanBusyError as busy:
        return busy.run_id, "A run is already under way."
    except RefusedError as refused:
        return None, f"Noted. {refused}"
    return run.run_id, "A run was started."


_together: dict[str, Together[News, AlertAnswer]] = {}


async def watch(plan: RecoveryPlan, hub: Hub) -> str | None:
    """Looks at one plan and starts a run when it must; returns the run's id, or None when there is nothing to do.

    While a look is postponed it starts one only for news: a check that turned bad since the last run ended.
    """
    state = await site_state.change_state(plan.name, lambda before: {})
    if state.active_run and state.active_kind == "failover" and not await lock_is_stale(state, hub):
        return None
    if may_look(state):
        return None
    monitor = await _monitor(plan)
    if monitor == "Online":
        state = await _well_again(plan, state)
    if monitor == "Degraded":
        reason = "The watch found the primary's endpoint degraded"
    elif await alert_log.count_open(plan.name):
        reason = "The watch found an alert that is not resolved"
    else:
        return None
    if is_postponed(state, datetime.now(UTC)):
        news = await _turned_bad(plan, state)
        if not news:
            return None
        reason = f"{reason}, and {', '.join(news)} turned bad since the last look"
    try:
        return (await begin_run(hub, plan, "failover", plan.detection.mode, "watch", reason)).run_id
    except (PlanBusyError, RefusedError):
        return None


async def _monitor(plan: RecoveryPlan) -> str:
    """What Traffic Manager says of the primary. A right that was taken away must not blind the watch unnoticed."""
    try:
        return (await read_endpoint(plan.traffic, plan.traffic.primary)).monitor
    except AzureError as error:
        first = str(error).splitlines()[0][:200]
        _log.warning("%s %s: the watch cannot read Traffic Manager (%s)", FAILED, plan.name, first)
        return "Unknown"


def _due(state: SiteState) -> str:
    return f"{state.not_before:%Y-%m-%d %H:%M} UTC"


async def _was_known(plan: RecoveryPlan, state: SiteState) -> bool:
    """Whether something is bad now, and nothing of it turned bad since the last run ended. It must be brief."""
    seen = await _look_now(plan, ALERT_LOOK)
    return bool(bad_checks(seen)) and not newly_bad(seen, state)


async def _turned_bad(plan: RecoveryPlan, state: SiteState) -> list[str]:
    """The checks that are bad now and were not when the last run ended. One that recovers may be news again.

    A log that has been silent since before then only notices late what was known, so it is no news.
    """
    seen = await _look_now(plan)
    await _forget(plan, set(state.known_bad) - bad_checks(seen).keys())
    return newly_bad(seen, state)


def newly_bad(seen: Round, state: SiteState) -> list[str]:
    """The checks that turned bad since the last run ended. Traffic Manager, which shares a path with what we asked
    ourselves, only notices late what was known of that path.
    """
    since = state.cooled_at or seen.at
    known = {e.path for e in seen.evidence if e.direct and e.signal in state.known_bad}
    late = {e.signal for e in seen.evidence if not e.direct and e.path in known}
    bad = bad_checks(seen).items()
    expected = set(state.known_bad) | late
    return sorted(name for name, last_sign in bad if name not in expected and last_sign >= since)


def bad_checks(seen: Round) -> dict[str, datetime]:
    """The checks of the primary that say down, with the moment of the last sign of life that each can know of."""
    return {
        e.signal: seen.at - timedelta(seconds=e.age)
        for e in seen.evidence
        if e.role == "evidence" and e.counts_as == "down"
    }


async def _well_again(plan: RecoveryPlan, state: SiteState) -> SiteState:
    """Traffic Manager reaches the primary: what was known to be bad on that path is no longer, and whoever asks for the
    status must not read an old look that said otherwise.
    """
    if state.known_bad:
        state = await _forget(plan, _told_by_traffic_manager(plan))
    if state.last_look and state.last_look.says != "up" and not state.active_run:
        await _look_now(plan)
    return state


async def _look_now(plan: RecoveryPlan, at_most: float | None = None) -> Round:
    """One pass of evidence; a whole one is remembered for whoever asks for the status."""
    seen = await gather(EvidenceOrder.of(plan, RunRef(run_id="", plan=plan.name, epoch=0)), at_most)
    if at_most is None:  # A look that was cut short calls a silent site unclear.
        await site_state.note_look(plan.name, seen, plan.detection.quorum)
    return seen


async def _forget(plan: RecoveryPlan, well: set[str]) -> SiteState:
    """These checks are well, so what they say next is news."""

    def change(state: SiteState) -> dict[str, Any]:
        kept = [name for name in state.known_bad if name not in well]
        return {"known_bad": kept} if kept != state.known_bad else {}

    return await site_state.change_state(plan.name, change)


def _told_by_traffic_manager(plan: RecoveryPlan) -> set[str]:
    """The checks that share a path with Traffic Manager's probes: an endpoint that is online was reached by it."""
    signals = plan.detection.signals
    paths = {s.path for s in signals.values() if s.traffic_manager is not None} | {"public"}
    return {name for name, signal in signals.items() if signal.path in paths}
