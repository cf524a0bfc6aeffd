"""The step that tells people."""

from __future__ import annotations

import azure.durable_functions as df

from functions.activities.base import activity
from shared.models.base import Strict
from shared.models.orders import NotifyOrder
from shared.services.announce import deliver

bp = df.Blueprint()


@activity(bp, "around")
async def notify(order: NotifyOrder) -> Strict:
    """Tells one address. What it does not take is tried again by the engine, is a warning of the plan meanwhile, and
    never stops a run.
    """
    await deliver(order)
    return Strict()
