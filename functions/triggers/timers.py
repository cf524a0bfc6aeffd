"""Timers: the watch, the drills, the recovery points, readiness, housekeeping. Each is short and may be missed once."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from functions.deployed_plans import PLANS
from functions.engine import DurableEngine
from functions.web.status import status
from shared.models.plan import RecoveryPlan
from shared.services import watch as watch_service
from shared.services.announce import FAILED
from shared.services.housekeeping import tidy, warn_of_plans_that_are_gone
from shared.services.outbound import beat, push_status
from shared.services.readiness import sweep
from shared.services.schedules import drill_if_due, take_point_if_due

bp = df.Blueprint()
_log = logging.getLogger("coldsite.schedules")


async def _for_every_plan(what: Any, engine: DurableEngine) -> bool:
    """An error of one plan must not block the others. Returns whether there was none."""

    async def is_done(plan: RecoveryPlan) -> bool:
        try:
            await what(plan, engine)
        except Exception as error:  # noqa: BLE001 (the other plans must continue)
            _log.error("%s %s: %s", FAILED, plan.name, error)
            return False
        return True

    return all(await asyncio.gather(*(is_done(plan) for plan in PLANS.values())))


@bp.timer_trigger(arg_name="timer", schedule="%COLDSITE_WATCH_SCHEDULE%")
@bp.durable_client_input(client_name="client")
async def watch(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Every twenty seconds: starts a run for an unreachable primary or an unresolved alert, unless one is active."""
    await _for_every_plan(watch_service.watch, DurableEngine(client))


@bp.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
@bp.durable_client_input(client_name="client")
async def start_drills(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Starts every drill that has become due since the last one; one that could not start then starts late, once."""
    await _for_every_plan(drill_if_due, DurableEngine(client))


@bp.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
@bp.durable_client_input(client_name="client")
async def take_recovery_points(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Starts a frozen set for every plan whose last one is old enough, while no run is active."""
    await _for_every_plan(take_point_if_due, DurableEngine(client))


@bp.timer_trigger(arg_name="timer", schedule="0 30 */6 * * *")
@bp.durable_client_input(client_name="client")
async def sweep_readiness(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Looks for what would go wrong in a failover, while there is time to correct it."""
    await _for_every_plan(_swept, DurableEngine(client))


async def _swept(plan: RecoveryPlan, engine: DurableEngine) -> None:
    await sweep(plan)


@bp.timer_trigger(arg_name="timer", schedule="%COLDSITE_HOUSEKEEPING_SCHEDULE%")
@bp.durable_client_input(client_name="client")
async def housekeeping(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Frees locks whose run is over, resumes sources and replicas that a run left stopped, deletes leftovers, checks
    the replica, guards the latch, judges observed failovers, and purges old orchestrations. Then it gives its sign of
    life, and sends the status to a provider, where there is an address for them.
    """
    complete = await _for_every_plan(tidy, DurableEngine(client))
    await warn_of_plans_that_are_gone(PLANS)
    if complete:
        await beat()
    await push_status((await status(PLANS.values())).model_dump_json())
