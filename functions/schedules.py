"""Timers: the watch, the drills, the recovery points, housekeeping. Each does little and may be missed once."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import azure.durable_functions as df
import azure.functions as func
from croniter import croniter

from functions.http import PLANS
from functions.hub import DurableHub
from shared import guarding, reacting
from shared.errors import PlanBusyError, RefusedError
from shared.names import EVENT_ABORT
from shared.orphans import end_lost
from shared.plan import RecoveryPlan
from shared.records import journal, site_state
from shared.records.site_state import SiteState
from shared.runs import Phase, RecoveryRun
from shared.starting import START_GRACE, begin_run, lock_is_stale
from shared.telling import FAILED

bp = df.Blueprint()
_log = logging.getLogger("coldsite.schedules")
_LOOKS_BACK_ON = 20


async def _for_every_plan(what: Any, hub: DurableHub) -> None:
    """One plan's trouble must not keep the others waiting."""

    async def one(plan: RecoveryPlan) -> None:
        try:
            await what(plan, hub)
        except Exception as error:  # noqa: BLE001 (whatever it is, the other plans go on)
            _log.error("%s %s: %s", FAILED, plan.name, error)

    await asyncio.gather(*(one(plan) for plan in PLANS.values()))


@bp.timer_trigger(arg_name="timer", schedule="%COLDSITE_WATCH_SCHEDULE%")
@bp.durable_client_input(client_name="client")
async def watch(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Every minute: is a primary degraded, or an alert unresolved, and nobody at work?"""
    await _for_every_plan(reacting.watch, DurableHub(client))


@bp.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
@bp.durable_client_input(client_name="client")
async def start_drills(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Starts every drill whose time has come since the last one; one that could not start then starts late, once."""
    await _for_every_plan(_drill_if_due, DurableHub(client))


async def _drill_if_due(plan: RecoveryPlan, hub: DurableHub) -> None:
    if plan.drill.schedule is None:
        return
    now = datetime.now(UTC)
    state = await site_state.read_state(plan.name)
    zone = ZoneInfo(plan.time_zone)
    due = croniter(plan.drill.schedule, now.astimezone(zone), second_at_beginning=True).get_prev(datetime)
    last = await journal.list_runs(plan.name, kind="drill", limit=1)
    if due <= (last[0].started_at if last else state.created_at):
        return
    try:
        await begin_run(hub, plan, "drill", "planned", "schedule", f"Scheduled for {due:%Y-%m-%d %H:%M %Z}")
    except (PlanBusyError, RefusedError) as error:
        _log.warning("%s: the scheduled drill does not start: %s", plan.name, error)


@bp.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
@bp.durable_client_input(client_name="client")
async def take_recovery_points(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Starts a frozen set for every plan whose last one is old enough, while no run is active."""
    await _for_every_plan(_set_if_due, DurableHub(client))


async def _set_if_due(plan: RecoveryPlan, hub: DurableHub) -> None:
    rhythm = plan.replication.recovery_points
    if rhythm is None:
        return
    now = datetime.now(UTC)

    def claim(state: SiteState) -> dict[str, Any]:
        fresh = state.last_set_at is not None and now - state.last_set_at < rhythm.every
        if fresh or state.active_run or state.active_site != "primary":
            return {}
        return {"last_set_at": now}

    state = await site_state.change_state(plan.name, claim)
    if state.last_set_at == now:
        await _keep(hub, plan, "take_set", f"{plan.name}-point-{now:%Y%m%d%H%M%S%f}")


@bp.timer_trigger(arg_name="timer", schedule="%COLDSITE_HOUSEKEEPING_SCHEDULE%")
@bp.durable_client_input(client_name="client")
async def housekeeping(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Frees locks whose run is over, thaws replicas that a run left frozen, clears leftovers, guards the latch, and
    judges what was only observed.
    """
    await _for_every_plan(_tidy, DurableHub(client))


async def _tidy(plan: RecoveryPlan, hub: DurableHub) -> None:
    state = await _end_what_is_lost(plan, hub)
    froze = state.frozen_by
    if froze and not state.active_run and state.active_site == "primary" and await hub.state(froze) != "running":
        await _keep(hub, plan, "thaw_replica", f"{plan.name}-thaw-{froze}", of_run=froze)
    if not state.active_run:
        for run in await guarding.guard(plan, state):
            if await hub.state(run.run_id) != "running":
                instance, keep = f"{plan.name}-clear-{run.run_id}", guarding.point_is_needed(run, state)
                await _keep(hub, plan, "clear_leftovers", instance, of_run=run.run_id, keep_point=keep)
    await guarding.look_back(plan)


async def _end_what_is_lost(plan: RecoveryPlan, hub: DurableHub) -> SiteState:
    """Ends runs that nobody carries on, whether they hold the plan or not, and frees the plan from them."""
    state = await site_state.read_state(plan.name)
    if await lock_is_stale(state, hub) and (over := state.active_run):
        await end_lost(plan, over, hub)

        def free(now: SiteState) -> dict[str, Any]:
            return {"active_run": None, "active_kind": None} if now.active_run == over else {}

        state = await site_state.change_state(plan.name, free)
    for run in await journal.list_runs(plan.name, limit=_LOOKS_BACK_ON):
        if run.outcome is not None or run.run_id == state.active_run:
            continue
        if await _is_lost(run, hub):
            state = await end_lost(plan, run.run_id, hub)
        elif run.kind == "drill" and run.phase is not Phase.CLEANING_UP:
            # Whoever took the plan from it may have died before saying so.
            await hub.send(run.run_id, EVENT_ABORT, {"by": state.active_run or "a failover", "preempted": True})
    return state


async def _is_lost(run: RecoveryRun, hub: DurableHub) -> bool:
    """A run that does not hold the plan may still be clearing away, or be just beginning."""
    young = datetime.now(UTC) - run.started_at < START_GRACE
    return not young and await hub.state(run.run_id) != "running"


async def _keep(hub: DurableHub, plan: RecoveryPlan, orchestrator: str, instance: str, **facts: Any) -> None:
    """Starts a small orchestration unless it is at work already."""
    if await hub.state(instance) != "running":
        await hub.start(orchestrator, instance, {"instance": instance, "plan": plan.model_dump(mode="json")} | facts)
