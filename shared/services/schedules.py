"""Scheduled work: a drill, a recovery point, a check between runs."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from shared.models.cron import due_before
from shared.models.errors import PlanBusyError, RefusedError
from shared.models.plan import RecoveryPlan
from shared.models.site_state import SiteState
from shared.services.engine import Engine
from shared.services.serving import serving_failover
from shared.services.start_run import begin_run
from shared.store import site_state
from shared.store.runs import list_runs

_log = logging.getLogger("coldsite.schedules")


async def drill_if_due(plan: RecoveryPlan, engine: Engine) -> None:
    if plan.drill.schedule is None:
        return
    now = datetime.now(UTC)
    state = await site_state.read_state(plan.name)
    due = due_before(plan.drill.schedule, plan.time_zone, now)
    last = await list_runs(plan.name, kind="drill", limit=1)
    if due <= (last[0].started_at if last else state.created_at):
        return
    try:
        await begin_run(
            engine,
            plan,
            "drill",
            "planned",
            "schedule",
            f"Scheduled for {due.astimezone(ZoneInfo(plan.time_zone)):%Y-%m-%d %H:%M %Z}",
        )
    except (PlanBusyError, RefusedError) as error:
        _log.warning("%s: the scheduled drill does not start: %s", plan.name, error)


async def take_point_if_due(plan: RecoveryPlan, engine: Engine) -> None:
    """Of the replica, or of the machines in Azure while customers are served there."""
    rhythm = plan.replication.recovery_points
    if rhythm is None:
        return
    now = datetime.now(UTC)

    def claim(state: SiteState) -> dict[str, Any]:
        fresh = state.last_set_at is not None and now - state.last_set_at < rhythm.every
        busy = state.active_run and not state.waits_for_home
        if fresh or busy or state.active_site not in ("primary", "recovery"):
            return {}
        return {"last_set_at": now}

    state = await site_state.change_state(plan.name, claim)
    if state.last_set_at == now:
        away = await serving_failover(plan, state) if state.active_site == "recovery" else None
        if away and not away.run_id:
            trouble = "no run of Coldsite built the machines that serve customers; protect them by other means"
            await site_state.change_state(plan.name, lambda _: {"point_trouble": trouble})
            return
        facts = {"serving": away.built_by} if away else {}
        await start_once(engine, plan, "take_set", f"{plan.name}-point-{now:%Y%m%d%H%M%S%f}", **facts)


async def start_once(engine: Engine, plan: RecoveryPlan, orchestrator: str, instance: str, **facts: Any) -> None:
    """Starts a small orchestration unless it is already running."""
    if await engine.state(instance) != "running":
        await engine.start(orchestrator, instance, {"instance": instance, "plan": plan.model_dump(mode="json")} | facts)
