"""Sending messages: Teams, Slack, e-mail, a webhook. Apprise knows a hundred services by their URL."""

from __future__ import annotations

import apprise

from shared import settings
from shared.models.errors import NotDeliveredError, SettingError
from shared.models.orders import NotifyOrder


async def send(order: NotifyOrder) -> None:
    """Sends one message to one address. Raises ``NotDeliveredError`` with the reason when it is not delivered."""
    try:
        url = settings.named(order.url_setting)
    except SettingError as error:
        raise NotDeliveredError(str(error)) from error
    sender = apprise.Apprise()
    if not sender.add(url):
        raise NotDeliveredError(f"The app setting {order.url_setting} does not contain a URL that Apprise supports.")
    if not await sender.async_notify(body=order.text, title=order.title):
        raise NotDeliveredError(f"The service behind {order.url_setting} did not accept the message.")
