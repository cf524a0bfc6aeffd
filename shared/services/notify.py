"""Sending messages: Teams, Slack, e-mail, a webhook. Apprise knows a hundred services by their URL."""

from __future__ import annotations

import apprise

from shared import settings
from shared.models.errors import NotDeliveredError, SettingError
from shared.models.orders import Message


async def send(message: Message) -> None:
    """Sends one message to one address, with the page's address where it is known. Raises ``NotDeliveredError`` with
    the reason when it is not delivered.
    """
    try:
        url = settings.named(message.url_setting)
    except SettingError as error:
        raise NotDeliveredError(str(error)) from error
    sender = apprise.Apprise()
    if not sender.add(url):
        raise NotDeliveredError(f"The app setting {message.url_setting} does not contain a URL that Apprise supports.")
    page = settings.page()
    text = f"{message.text}\nPage: {page}" if page else message.text
    if not await sender.async_notify(body=text, title=message.title):
        raise NotDeliveredError(f"The service behind {message.url_setting} did not accept the message.")
