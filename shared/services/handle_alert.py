"""An incoming alert: it starts a run, informs one, or is only stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from shared.models.alert import Alert, Meaning
from shared.models.base import Strict
from shared.models.errors import PlanBusyError, RefusedError, StorageUnavailableError
from shared.models.ids import EVENT_ALERT
from shared.models.plan import RecoveryPlan
from shared.services.alert_schema import match_plan, parse_alert
from shared.services.batching import Batcher
from shared.services.engine import Engine
from shared.services.lost_runs import lock_is_stale
from shared.services.news import due, was_known
from shared.services.start_run import begin_run, is_postponed, why_unsafe
from shared.store import alerts, site_state
from shared.store.alerts import Received

ANSWER_WITHIN = 4.0
"""Seconds. An action group waits longer, but a storm must not pile up."""


class AlertAnswer(Strict):
    """The result of an alert. ``run_id`` is the run that it started or that it belongs to."""

    plan: str
    run_id: str | None
    answer: str


class MatchedAlert(NamedTuple):
    """An alert, its plan, and its meaning there."""

    alert: Alert
    plan: RecoveryPlan
    meaning: Meaning
    engine: Engine


async def react_to_alert(body: bytes, plans: Iterable[RecoveryPlan], engine: Engine) -> AlertAnswer:
    """Parses, matches, stores and acts. Raises ``AlertError`` for an unusable alert, and ``StorageUnavailableError``
    when there is no answer within ``ANSWER_WITHIN``: an action group then resends.

    "Fired" starts a run where none is active; "Resolved" informs a run and never starts a failback. Alerts that arrive
    together are answered together.
    """
    alert = parse_alert(body)
    plan, meaning = match_plan(alert, plans)
    asked = _together.setdefault(plan.name, Batcher(_react, alerts.AT_ONCE))
    try:
        return await asyncio.wait_for(asked.ask(MatchedAlert(alert, plan, meaning, engine)), ANSWER_WITHIN)
    except TimeoutError:
        raise StorageUnavailableError(
            "Too many alerts at once, or the history is slow. Send the alert again."
        ) from None


async def _react(news: list[MatchedAlert]) -> list[AlertAnswer]:
    """Answers alerts of one plan: each is stored first, so that none is lost, and acted on after."""
    plan = news[0].plan
    unique = {matched.alert.dedupe_key: matched for matched in news}
    opening = {matched.alert.alert_id for matched in news if matched.meaning == "primary_down"}
    kept = await alerts.keep(plan.name, [matched.alert for matched in unique.values()], opening)
    fresh = {key: matched for key, matched in unique.items() if key not in kept}
    became = await _act(plan, fresh)
    await alerts.answer(plan.name, became)
    again = {
        key: AlertAnswer(plan=plan.name, run_id=received.run_id, answer="This alert was already received.")
        for key, received in kept.items()
    }
    first = {
        key: AlertAnswer(plan=plan.name, run_id=received.run_id, answer=received.answer)
        for key, received in became.items()
    }
    return [(again | first)[matched.alert.dedupe_key] for matched in news]


async def _act(plan: RecoveryPlan, fresh: dict[str, MatchedAlert]) -> dict[str, Received]:
    noted = Received(run_id=None, answer="Recorded; an alert of this kind starts nothing.")
    became = dict.fromkeys(fresh, noted)
    firing = [key for key, matched in fresh.items() if matched.meaning == "primary_down"]
    if firing:
        first = fresh[firing[0]]
        run_id, answer = await _start_run_or_say_why_not(plan, first.engine, f"Alert {first.alert.rule}")
        became |= dict.fromkeys(firing, Received(run_id=run_id, answer=answer))
    for key, matched in fresh.items():
        if matched.meaning == "primary_resolved":
            became[key] = await _resolve(plan, matched)
    return became


async def _resolve(plan: RecoveryPlan, news: MatchedAlert) -> Received:
    await alerts.close(plan.name, news.alert.alert_id)
    state = await site_state.read_state(plan.name)
    if state.active_run is None:
        return Received(run_id=None, answer="Recorded: the alert is resolved. Failback is never automatic.")
    if state.active_kind != "failover":
        return Received(run_id=None, answer="Recorded: the alert is resolved.")
    kept = {"rule": news.alert.rule, "condition": news.alert.condition}
    await news.engine.send(state.active_run, EVENT_ALERT, kept)
    return Received(run_id=state.active_run, answer="The run in progress was informed that the alert is resolved.")


async def _start_run_or_say_why_not(plan: RecoveryPlan, engine: Engine, reason: str) -> tuple[str | None, str]:
    """Starts a run for an alert, or returns why none is started. An alert ends a cooldown, unless every failing check
    was known when it began: a second rule of the same outage must not undo a person's decision.
    """
    state = await site_state.change_state(plan.name, lambda before: {})
    if state.active_run and state.active_kind == "failover" and not await lock_is_stale(state, engine):
        return state.active_run, "A run is already in progress."
    if why_not := why_unsafe(state, "failover"):
        return None, f"Noted. {why_not}"
    if is_postponed(state, datetime.now(UTC)) and await was_known(plan, state):
        return None, f"Recorded. All failing checks were known when the last run ended; next check at {due(state)}."
    try:
        run = await begin_run(engine, plan, "failover", plan.detection.mode, "alert", reason)
    except PlanBusyError as busy:
        return busy.run_id, "A run is already in progress."
    except RefusedError as refused:
        return None, f"Noted. {refused}"
    return run.run_id, "A run was started."


_together: dict[str, Batcher[MatchedAlert, AlertAnswer]] = {}
