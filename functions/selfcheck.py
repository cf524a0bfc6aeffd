"""POST /api/selfcheck: one orchestration from its start to its end, as every failover needs.

An app that answers requests and whose durable engine does not work looks healthy until the night it is needed. Every
deployment asks this (infra/hooks/check.ps1); a caller needs any of the roles.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task

from functions.auth import FOR_PEOPLE, Caller
from functions.http import PLANS, allowed, answer
from functions.hub import DurableHub
from functions.requests import SelfChecked
from functions.step import step
from shared import settings
from shared.errors import SettingError
from shared.plan import Strict
from shared.records import site_state
from shared.runs import Order, RunRef

bp = df.Blueprint()
PATIENCE = 90.0
"""Seconds after which the engine counts as not working. A platform that starts its first instance needs some."""


class Itself(Strict):
    """What the app found wrong with itself; empty when nothing is."""

    problems: list[str]


@step(bp, "never")
async def check_itself(order: Order) -> Itself:
    """Reads the history once, and every setting that a plan names. Changes nothing."""
    await site_state.read_state(order.run.plan)
    problems = [] if PLANS else ["No recovery plan is deployed: plans/ holds none."]
    for name in sorted({name for plan in PLANS.values() for name in plan.settings}):
        try:
            settings.named(name)
        except SettingError as error:
            problems.append(str(error))
    return Itself(problems=problems)


@bp.orchestration_trigger(context_name="context")
def selfcheck(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Generator[task.Task[Any], Any, Any]:
    """Runs one activity and ends with what it found."""
    order = Order(run=RunRef(run_id=ctx.instance_id, plan="selfcheck", epoch=0))
    return (yield check_itself.schedule(ctx, order, timedelta(seconds=2)))


@bp.route(route="selfcheck", methods=["POST"], auth_level=FOR_PEOPLE)
@bp.durable_client_input(client_name="client")
async def check_self(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    return await _check_self(req, DurableHub(client))


@allowed("viewer")
async def _check_self(caller: Caller, req: func.HttpRequest, hub: DurableHub) -> func.HttpResponse:
    """Starts the orchestration and waits for its end; 503 when the engine does not bring it there."""
    began = time.monotonic()
    found = await hub.run("selfcheck", f"selfcheck-{uuid.uuid4().hex}", PATIENCE)
    checked = SelfChecked(seconds=round(time.monotonic() - began, 2), problems=Itself.model_validate(found).problems)
    return answer(checked.model_dump())
