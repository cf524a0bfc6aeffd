"""Telling people: Teams, Slack, e-mail, a webhook. Apprise knows a hundred services by their URL."""

from __future__ import annotations

import apprise

from shared import settings
from shared.runs import Order


class NotifyOrder(Order):
    """``url_settings`` name the app settings that hold Apprise URLs; the URLs themselves never enter the history."""

    url_settings: list[str]
    title: str
    text: str


async def send(order: NotifyOrder) -> list[str]:
    """Sends to every address and returns the settings whose service did not take the message."""
    failed = []
    for setting in order.url_settings:
        sender = apprise.Apprise()
        if not sender.add(settings.named(setting)) or not await sender.async_notify(body=order.text, title=order.title):
            failed.append(setting)
    return failed
