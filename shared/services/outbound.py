"""What the app sends to the outside after each sweep: a sign of life, and the status for a provider's view."""

from __future__ import annotations

import logging
import time
import uuid

import aiohttp

from shared import settings
from shared.models.errors import SettingError
from shared.models.signing import signature
from shared.services.announce import WARNS

_log = logging.getLogger("coldsite.outbound")
_TIMEOUT = aiohttp.ClientTimeout(total=10)


async def beat() -> None:
    """Calls the heartbeat's address, if there is one: the service that listens there alarms when it hears nothing.
    Errors are only logged.
    """
    if url := settings.heartbeat_url():
        await _call("GET", "heartbeat", url, None, {})


async def push_status(document: str) -> None:
    """Sends the status, signed, to the provider's address, if there is one. Errors are only logged."""
    url = settings.status_url()
    if url is None:
        return
    body = document.encode()
    try:
        headers = signature(settings.status_secret(), uuid.uuid4().hex, body, time.time())
    except SettingError as error:
        _log.warning("%s the status is not sent: %s", WARNS, error)
        return
    await _call("POST", "status", url, body, headers | {"Content-Type": "application/json"})


async def _call(method: str, what: str, url: str, body: bytes | None, headers: dict[str, str]) -> None:
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.request(method, url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            if response.status >= 300:
                _log.warning("%s the address of the %s answered %s.", WARNS, what, response.status)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        _log.warning("%s the address of the %s does not answer (%s).", WARNS, what, type(error).__name__)
