"""The step that asks the business's own automation at a turning point of a run."""

from __future__ import annotations

import azure.durable_functions as df

from functions.activities.base import activity
from shared.models.acts import Called
from shared.models.operations import Refused, Started
from shared.models.orders import ActOrder
from shared.services.hooks import carry_out
from shared.store import site_state

bp = df.Blueprint()


@activity(bp, "around")
async def call_hook(order: ActOrder) -> Called | Started | Refused:
    """Calls a hook of the plan, or starts its script on a recovered machine. Raises ``LostLockError`` for a run that no
    longer holds its plan.
    """
    await site_state.check_lock(order.run)
    return await carry_out(order)
