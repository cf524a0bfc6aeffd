"""Notifications: each address is notified separately, so that a broken one does not silence the others.

A failing address is a warning of the plan until a message is delivered there again.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.models.errors import ColdsiteError, NotDeliveredError
from shared.models.orders import Delivery, Message
from shared.models.plan import RecoveryPlan
from shared.models.site_state import SiteState
from shared.services.notify import send
from shared.store import site_state
from shared.store.events import record_event

WARNS, FAILED = "Coldsite warns:", "Coldsite failed:"
"""The start of log lines that need the operator; the alert rules of ``infra/coldsite/`` look for these words."""
UNDELIVERED = "undelivered/"
"""The prefix of the keys of warnings about addresses."""
_log = logging.getLogger("coldsite.telling")


async def deliver(plan: str, message: Message) -> None:
    """Sends one message to one address, and updates the plan's warning about that address.

    Raises ``NotDeliveredError`` when the message was not delivered.
    """
    try:
        await send(message)
    except NotDeliveredError as error:
        await _warn_of(plan, message, str(error))
        raise
    await _warn_of(plan, message, None)


async def send_test(plan: RecoveryPlan, by: str) -> list[Delivery]:
    """Sends a test message to every address of the plan, side by side, and returns what became of each."""
    title, text = (
        f"Test: {plan.title}",
        f"{by} asked for this message; nothing is wrong. Coldsite reaches this address.",
    )

    async def try_address(address: str) -> Delivery:
        try:
            await deliver(plan.name, Message(url_setting=address, title=title, text=text))
        except NotDeliveredError as error:
            return Delivery(address=address, problem=str(error))
        return Delivery(address=address)

    return list(await asyncio.gather(*(try_address(address) for address in plan.addresses)))


async def _warn_of(plan: str, message: Message, trouble: str | None) -> None:
    """A failure to store the warning must not hide the result of the delivery."""
    key, now = UNDELIVERED + message.url_setting, datetime.now(UTC)
    warning = f"Notifications are not delivered: {trouble} Fix the setting, or the service." if trouble else None

    def change(state: SiteState) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if state.warnings.get(key) != warning:
            others = {k: v for k, v in state.warnings.items() if k != key}
            changes["warnings"] = others | ({key: warning} if warning else {})
        if warning is None and not _proven_today(state, message.url_setting, now):
            changes["delivered"] = {k: v.isoformat() for k, v in state.delivered.items()} | {
                message.url_setting: now.isoformat()
            }
        return changes

    try:
        if warning:
            _log.warning("%s %s: %s", WARNS, plan, warning)
        elif not change(await site_state.read_state(plan)):
            return
        await site_state.change_state(plan, change)
    except ColdsiteError as error:
        _log.warning("%s %s", FAILED, error)


def _proven_today(state: SiteState, address: str, now: datetime) -> bool:
    last = state.delivered.get(address)
    return last is not None and now - last < timedelta(days=1)


async def tell(plan: RecoveryPlan, message: str) -> bool:
    """Records a sentence in the site's events and sends it to every address that subscribes to ``needs_operator``.

    Returns False when there are addresses and none accepted it: then the notification should be repeated.
    """
    await record_event(plan.name, message)
    return await send_to_subscribers(plan, message)


async def send_to_subscribers(plan: RecoveryPlan, message: str) -> bool:
    """As ``tell``, for a sentence that is recorded already."""
    wanted = [notification.url_setting for notification in plan.notify if "needs_operator" in notification.on]
    title, text = f"Action required: {plan.title}", f"{message}\nStatus: coldsite plan show {plan.name}"
    messages = [Message(url_setting=address, title=title, text=text) for address in wanted]
    results = await asyncio.gather(*(deliver(plan.name, sent) for sent in messages), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, NotDeliveredError):
            raise result
    return not results or not all(isinstance(result, NotDeliveredError) for result in results)
