"""The step that sends notifications."""

from __future__ import annotations

import azure.durable_functions as df

from functions.activities.base import activity
from shared.models.base import Strict
from shared.models.orders import NotifyOrder
from shared.services.announce import deliver

bp = df.Blueprint()


@activity(bp, "around")
async def notify(order: NotifyOrder) -> Strict:
    """Notifies one address. The engine retries a failed delivery; meanwhile it is a warning of the plan, and it never
    stops a run.
    """
    await deliver(order.run.plan, order.message)
    return Strict()
