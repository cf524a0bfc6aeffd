"""What people are told: each address by itself, so that one that is broken silences none of the others.

An address that takes no messages is a warning of the plan until it takes one again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from shared.models.errors import ColdsiteError, NotDeliveredError
from shared.models.orders import NotifyOrder
from shared.models.plan import RecoveryPlan
from shared.models.steps import RunRef
from shared.services.notify import send
from shared.store import site_state
from shared.store.events import record_event
from shared.store.site_state import SiteState

WARNS, FAILED = "Coldsite warns:", "Coldsite failed:"
"""How the log begins where a person must hear of it; the alert rules of ``infra/coldsite/`` look for these words."""
UNDELIVERED = "undelivered/"
"""How the keys of warnings about addresses begin."""
_log = logging.getLogger("coldsite.telling")


async def deliver(order: NotifyOrder) -> None:
    """Sends one message to one address, and keeps the plan's warning about that address as it is.

    Raises ``NotDeliveredError`` when the message was not taken.
    """
    try:
        await send(order)
    except NotDeliveredError as error:
        await _warn_of(order, str(error))
        raise
    await _warn_of(order, None)


async def _warn_of(order: NotifyOrder, trouble: str | None) -> None:
    """Trouble with remembering must not hide what became of the message."""
    key = UNDELIVERED + order.url_setting
    said = f"Messages do not arrive: {trouble} Correct the setting, or the service." if trouble else None

    def change(state: SiteState) -> dict[str, Any]:
        if state.warnings.get(key) == said:
            return {}
        others = {k: v for k, v in state.warnings.items() if k != key}
        return {"warnings": others | ({key: said} if said else {})}

    try:
        if said:
            _log.warning("%s %s: %s", WARNS, order.run.plan, said)
        elif key not in (await site_state.read_state(order.run.plan)).warnings:
            return
        await site_state.change_state(order.run.plan, change)
    except ColdsiteError as error:
        _log.warning("%s %s", FAILED, error)


async def tell(plan: RecoveryPlan, said: str) -> bool:
    """Writes a sentence into the site's story and sends it to every address that wants to know when it is needed.

    Returns False when there are addresses and none of them took it: then it should be told again.
    """
    await record_event(plan.name, said)
    return await send_to_all(plan, said)


async def send_to_all(plan: RecoveryPlan, said: str) -> bool:
    """As ``tell``, for a sentence that is in the story already."""
    wanted = [one.url_setting for one in plan.notify if "needs_operator" in one.on]
    between_runs = RunRef(run_id="", plan=plan.name, epoch=0)
    title, text = f"{plan.title} needs you", f"{said}\nStatus: coldsite plan show {plan.name}"
    orders = [NotifyOrder(run=between_runs, url_setting=one, title=title, text=text) for one in wanted]
    results = await asyncio.gather(*(deliver(order) for order in orders), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, NotDeliveredError):
            raise result
    return not results or not all(isinstance(result, NotDeliveredError) for result in results)
