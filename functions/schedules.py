"""Timers: the watch, the drills, the recovery points, housekeeping. Each does little and may be missed once."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import azure.durable_functions as df
import azure.functions as func

from functions.http import PLANS
from functions.hub import DurableHub
from functions.source import call_hook
from shared import guarding, reacting
from shared.errors import PlanBusyError, RefusedError, UnknownRunError
from shared.names import EVENT_ABORT
from shared.orphans import end_lost
from shared.plan import RecoveryPlan
from shared.policy.schedule import due_before
from shared.records import journal, site_state
from shared.records.events import record_event
from shared.records.site_state import SiteState
from shared.runs import Phase, RecoveryRun, RunRef
from shared.starting import START_GRACE, begin_run, lock_is_stale
from shared.telling import FAILED, WARNS

bp = df.Blueprint()
_log = logging.getLogger("coldsite.schedules")
_LOOKS_BACK_ON = 20
KEEPS_ORCHESTRATIONS_FOR = timedelta(days=7)


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
    due = due_before(plan.drill.schedule, plan.time_zone, now)
    last = await journal.list_runs(plan.name, kind="drill", limit=1)
    if due <= (last[0].started_at if last else state.created_at):
        return
    try:
        await begin_run(
            hub,
            plan,
            "drill",
            "planned",
            "schedule",
            f"Scheduled for {due.astimezone(ZoneInfo(plan.time_zone)):%Y-%m-%d %H:%M %Z}",
        )
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
    """Frees locks whose run is over, lets sources and replicas go on that a run left stopped, clears leftovers, looks
    at the replica, guards the latch, judges what was only observed, and forgets old orchestrations.
    """
    await _for_every_plan(_tidy, DurableHub(client))
    await _warn_of_plans_that_are_gone()


async def _tidy(plan: RecoveryPlan, hub: DurableHub) -> None:
    state = await _end_what_is_lost(plan, hub)
    await _look_at_replica_if_due(plan, state, hub)
    if not state.active_run or state.active_kind == "drill":
        await _resume_writes(plan, state, hub)
    if not state.active_run:
        await _thaw(plan, state, hub)
        for run in await guarding.guard(plan, state):
            if await hub.state(run.run_id) != "running":
                instance, keep = f"{plan.name}-clear-{run.run_id}", guarding.point_is_needed(run, state)
                await _keep(hub, plan, "clear_leftovers", instance, of_run=run.run_id, keep_point=keep)
    await guarding.look_back(plan)
    await _forget_old_orchestrations(plan, hub)


async def _thaw(plan: RecoveryPlan, state: SiteState, hub: DurableHub) -> None:
    """A run that broke off may have left the replica frozen."""
    froze, freezing = state.frozen_by, state.frozen_at
    if froze and freezing and state.active_site == "primary" and await hub.state(froze) != "running":
        await _keep(hub, plan, "thaw_replica", f"{plan.name}-thaw-{froze}", of_run=froze, freezing=freezing.isoformat())


async def _resume_writes(plan: RecoveryPlan, state: SiteState, hub: DurableHub) -> None:
    """A run that broke off may have left the source's writes stopped. They are resumed in its name, unless it moved
    customers. A failover may stop them at any moment, so the state is read directly before the hook is called, and a
    stop that the call may have undone is ordered again.
    """
    fence, fenced = plan.fence, state.fenced_by
    if fence is None or fenced is None or state.active_site != "primary" or await hub.state(fenced) == "running":
        return
    now = await site_state.read_state(plan.name)
    try:
        moved = (await journal.read_run(fenced)).cutover_began
    except UnknownRunError:
        moved = False
    if now.active_kind == "failover" or now.fenced_by != fenced or moved:
        return
    answer = await call_hook(fence, RunRef(run_id=fenced, plan=plan.name, epoch=0), "resume")
    if not answer.done:
        _log.warning("%s %s: the source's writes are stopped, and %s", WARNS, plan.name, answer.detail)
        return
    after = await site_state.change_state(
        plan.name, lambda before: {"fenced_by": None} if before.fenced_by == fenced else {}
    )
    await record_event(plan.name, f"The source's writes, which run {fenced} had stopped, were resumed.")
    if other := after.fenced_by:
        await call_hook(fence, RunRef(run_id=other, plan=plan.name, epoch=0), "stop")


async def _look_at_replica_if_due(plan: RecoveryPlan, state: SiteState, hub: DurableHub) -> None:
    """Only while the replica matters: customers are at the primary, and the plan has a script to ask with. A drill that
    waits for a person does not keep the age of the data from being known.
    """
    seen, now = state.replica, datetime.now(UTC)
    due = seen is None or now - seen.at >= plan.replication.look_every
    quiet = not state.active_run or (state.active_kind == "drill" and not state.frozen_by)
    if due and quiet and plan.replication.script_texts and state.active_site == "primary":
        await _keep(hub, plan, "look_at_replica", f"{plan.name}-replica")


async def _forget_old_orchestrations(plan: RecoveryPlan, hub: DurableHub) -> None:
    """Once a day. What happened is in the history; the engine's own record of what has ended only grows."""
    now = datetime.now(UTC)

    def claim(state: SiteState) -> dict[str, Any]:
        recent = state.purged_at is not None and now - state.purged_at < timedelta(days=1)
        return {} if recent else {"purged_at": now}

    if (await site_state.change_state(plan.name, claim)).purged_at == now:
        await hub.purge_ended_before(now - KEEPS_ORCHESTRATIONS_FOR)


async def _warn_of_plans_that_are_gone() -> None:
    """A plan that is no longer deployed is watched by no timer: what it left locked, frozen or away is a person's."""
    for name in set(await site_state.list_plans()) - PLANS.keys():
        state = await site_state.read_state(name)
        left = [
            f"run {state.active_run} holds it" if state.active_run else None,
            "its replica is frozen" if state.frozen_by else None,
            "its source's writes are stopped" if state.fenced_by else None,
            f"its customers are sent to: {state.active_site}" if state.active_site != "primary" else None,
        ]
        if told := [one for one in left if one]:
            _log.warning("%s plan %s is no longer deployed, and %s. Deploy it again.", WARNS, name, "; ".join(told))


async def _end_what_is_lost(plan: RecoveryPlan, hub: DurableHub) -> SiteState:
    """Ends runs whose orchestration is gone, whether they hold the plan or not, and frees the plan from them.

    The runs are listed before the state is read: a drill that begins in between is not in the list.
    """
    runs = await journal.list_runs(plan.name, limit=_LOOKS_BACK_ON)
    state = await site_state.read_state(plan.name)
    if await lock_is_stale(state, hub) and (over := state.active_run):
        await end_lost(plan, over, hub)

        def free(now: SiteState) -> dict[str, Any]:
            return {"active_run": None, "active_kind": None} if now.active_run == over else {}

        state = await site_state.change_state(plan.name, free)
    for run in runs:
        if run.outcome is not None or run.run_id == state.active_run:
            continue
        if await _is_lost(run, hub):
            state = await end_lost(plan, run.run_id, hub)
        elif run.kind == "drill" and run.phase is not Phase.CLEANING_UP and not _is_young(run):
            # Whoever took the plan from it may have died before saying so.
            await hub.send(run.run_id, EVENT_ABORT, {"by": state.active_run or "a failover", "preempted": True})
    return state


async def _is_lost(run: RecoveryRun, hub: DurableHub) -> bool:
    """A run that does not hold the plan may still be clearing away, or be just beginning."""
    return not _is_young(run) and await hub.state(run.run_id) != "running"


def _is_young(run: RecoveryRun) -> bool:
    return datetime.now(UTC) - run.started_at < START_GRACE


async def _keep(hub: DurableHub, plan: RecoveryPlan, orchestrator: str, instance: str, **facts: Any) -> None:
    """Starts a small orchestration unless it is at work already."""
    if await hub.state(instance) != "running":
        await hub.start(orchestrator, instance, {"instance": instance, "plan": plan.model_dump(mode="json")} | facts)
