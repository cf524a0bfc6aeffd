"""What makes Coldsite look by itself: an alert that arrives, and the watch that misses nothing.

Metric alerts are stateful: no second "Fired" comes for the same outage. So alerts are the quick way in and the watch is
the sure one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import AzureError

from shared.alerts import Alert, match_plan, parse_alert
from shared.cloud.traffic import read_endpoint
from shared.errors import PlanBusyError, RefusedError
from shared.names import EVENT_ALERT
from shared.plan import RecoveryPlan, Strict
from shared.records import journal, site_state
from shared.records.site_state import SiteState
from shared.starting import Hub, begin_run, lock_is_stale, may_look


class AlertAnswer(Strict):
    """What became of an alert. ``run_id`` is the run that it started or that it belongs to."""

    plan: str
    run_id: str | None
    answer: str


async def react_to_alert(body: bytes, plans: Iterable[RecoveryPlan], hub: Hub) -> AlertAnswer:
    """Parses, matches, remembers and acts. Raises ``AlertError`` for what cannot be used.

    "Fired" starts a run where none is active; "Resolved" informs a run and never starts a failback.
    """
    alert = parse_alert(body)
    plan, meaning = match_plan(alert, plans)
    if known := await journal.alert_run(alert, plan.name):
        return AlertAnswer(plan=plan.name, run_id=known, answer="This news was already received.")
    run_id, answer = None, "Noted; an alert of this kind starts nothing."
    if meaning != "noted":
        state = await site_state.change_state(plan.name, lambda before: _open_alerts(before, alert))
        if meaning == "primary_down":
            run_id, answer = await _look(plan, state, hub, f"Alert {alert.rule}")
        elif state.active_run:
            await hub.send(state.active_run, EVENT_ALERT, {"rule": alert.rule, "condition": alert.condition})
            run_id, answer = state.active_run, "The run that is under way was told that the alert is resolved."
        else:
            answer = "Noted: the alert is resolved. Going back is never automatic."
    await journal.record_alert(alert, plan.name, run_id, answer)
    return AlertAnswer(plan=plan.name, run_id=run_id, answer=answer)


def _open_alerts(state: SiteState, alert: Alert) -> dict[str, Any]:
    """Firing and resolution of one alert share its id."""
    is_open = alert.alert_id in state.open_alerts
    if alert.condition == "Fired" and not is_open:
        return {"open_alerts": [*state.open_alerts, alert.alert_id][-50:]}
    if alert.condition == "Resolved" and is_open:
        return {"open_alerts": [a for a in state.open_alerts if a != alert.alert_id]}
    return {}


async def _look(plan: RecoveryPlan, state: SiteState, hub: Hub, reason: str) -> tuple[str | None, str]:
    """Starts a run for an alert, or says why none is started. The watch comes back to what is only postponed."""
    if state.active_run and state.active_kind == "failover" and not await lock_is_stale(state, hub):
        return state.active_run, "A run is already under way."
    if why_not := may_look(state, datetime.now(UTC)):
        return None, f"Noted. {why_not}"
    try:
        run = await begin_run(hub, plan, "failover", plan.detection.mode, "alert", reason)
    except PlanBusyError as busy:
        return busy.run_id, "A run is already under way."
    except RefusedError as refused:
        return None, f"Noted. {refused}"
    return run.run_id, "A run was started."


async def watch(plan: RecoveryPlan, hub: Hub) -> str | None:
    """Looks at one plan and starts a run when it must; returns the run's id, or None when there is nothing to do."""
    state = await site_state.change_state(plan.name, lambda before: {})
    if state.active_run and state.active_kind == "failover" and not await lock_is_stale(state, hub):
        return None
    if may_look(state, datetime.now(UTC)):
        return None
    try:
        endpoint = await read_endpoint(plan.traffic, plan.traffic.primary)
        monitor = endpoint.monitor
    except AzureError:
        monitor = "Unknown"
    if monitor == "Degraded":
        reason = "The watch found the primary's endpoint degraded"
    elif state.open_alerts:
        reason = "The watch found an alert that is not resolved"
    else:
        return None
    try:
        return (await begin_run(hub, plan, "failover", plan.detection.mode, "watch", reason)).run_id
    except (PlanBusyError, RefusedError):
        return None
