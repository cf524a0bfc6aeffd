"""The orchestration of the self-check: one activity, run to completion."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from durabletask import task

from functions.activities.selfcheck import check_itself
from shared.models.steps import Order, RunRef

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def selfcheck(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Generator[task.Task[Any], Any, Any]:
    """Runs one activity and returns its result."""
    order = Order(run=RunRef(run_id=ctx.instance_id, plan="selfcheck", epoch=0))
    return (yield check_itself.schedule(ctx, order, timedelta(seconds=2)))
