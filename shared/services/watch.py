"""The watch: Coldsite checks by itself, so that a lost alert costs a minute and not the site."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from azure.core.exceptions import AzureError

from shared.azure.traffic_manager import read_endpoint
from shared.models.errors import PlanBusyError, RefusedError
from shared.models.plan import RecoveryPlan
from shared.services.announce import FAILED
from shared.services.engine import Engine
from shared.services.lost_runs import lock_is_stale
from shared.services.news import turned_bad, well_again
from shared.services.start_run import begin_run, is_postponed, why_no_run_now
from shared.store import alerts, site_state

_log = logging.getLogger("coldsite.watch")


async def watch(plan: RecoveryPlan, engine: Engine) -> str | None:
    """Checks one plan and starts a run if required; returns the run's id, or None when there is nothing to do.

    While the next check is postponed it starts one only for news: a check that has failed since the last run ended.
    """
    state = await site_state.change_state(plan.name, lambda before: {})
    if state.active_run and state.active_kind == "failover" and not await lock_is_stale(state, engine):
        return None
    if why_no_run_now(state):
        return None
    monitor = await _monitor(plan)
    if monitor == "Online":
        state = await well_again(plan, state)
    if monitor == "Degraded":
        reason = "The watch found the primary's endpoint degraded"
    elif await alerts.count_open(plan.name):
        reason = "The watch found an alert that is not resolved"
    else:
        return None
    if is_postponed(state, datetime.now(UTC)):
        news = await turned_bad(plan, state)
        if not news:
            return None
        reason = f"{reason}, and {', '.join(news)} failed since the last check"
    try:
        return (await begin_run(engine, plan, "failover", plan.detection.mode, "watch", reason)).run_id
    except (PlanBusyError, RefusedError):
        return None


async def _monitor(plan: RecoveryPlan) -> str:
    """Traffic Manager's view of the primary. A removed right must not blind the watch unnoticed."""
    try:
        return (await read_endpoint(plan.traffic, plan.traffic.primary)).monitor
    except AzureError as error:
        first = str(error).splitlines()[0][:200]
        _log.warning("%s %s: the watch cannot read Traffic Manager (%s)", FAILED, plan.name, first)
        return "Unknown"
