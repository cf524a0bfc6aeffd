"""The business's own automation: webhooks, signed, and scripts on recovered machines."""

from __future__ import annotations

import json
import time
import uuid
from datetime import timedelta

import aiohttp

from shared import settings
from shared.azure.run_command import start_act
from shared.models.acts import ActReport, Called, read_report
from shared.models.errors import SettingError
from shared.models.operations import Refused, Started
from shared.models.orders import ActOrder
from shared.models.signing import signature

_LONGEST_ANSWER = 64 * 1024


async def carry_out(order: ActOrder) -> Called | Started | Refused:
    """Calls the hook of an act, or starts its script. An order that is carried out twice has one webhook id."""
    act, run = order.act, order.run
    if not act.hook:
        return await start_act(order)
    call = f"{run.run_id}:{order.action}:{order.attempt}"
    return await post_hook(act.hook, act.timeout, run.plan, run.run_id, order.action, call)


async def post_hook(
    hook: str, timeout: timedelta, plan: str, run_id: str, action: str, call: str | None = None
) -> Called:
    """One call of the hook whose address is in the app setting ``hook``. Any answer is a result, as is a time-out.

    ``call`` identifies the call for receivers that ignore repetitions, by default a new id. The answer is good with a
    status of 2xx, unless its JSON says ``"done": false`` or it is a page of HTML: a login page answers 200 too.
    """
    body = json.dumps({"run_id": run_id, "plan": plan, "action": action}).encode()
    try:
        url = settings.named(hook)
        headers = {"Content-Type": "application/json"} | _signature(call or uuid.uuid4().hex, body)
        status, text = await _post(url, body, headers, timeout.total_seconds())
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, SettingError) as error:
        return Called(done=False, detail=f"the hook was not reached ({type(error).__name__})", reached=False)
    except Exception as error:  # noqa: BLE001 (a hook's error is a result; its address may contain a secret)
        return Called(done=False, detail=f"the hook did not answer ({type(error).__name__})")
    report = read_report(text)
    if 200 <= status < 300 and text.lstrip().startswith("<"):
        return Called(done=False, detail=f"the hook answered {status} with a page of HTML, so it may be a login page")
    report = report or ActReport()
    done = 200 <= status < 300 and report.done is not False
    message = f": {report.message}" if report.message else ""
    return Called(done=done, detail=f"the hook answered {status}{message}", report=report)


def _signature(call: str, body: bytes) -> dict[str, str]:
    key = settings.hook_secret()
    return signature(key, call, body, time.time()) if key else {}


async def _post(url: str, body: bytes, headers: dict[str, str], seconds: float) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session,
        session.post(url, data=body, headers=headers, allow_redirects=False) as response,
    ):
        return response.status, (await response.read())[:_LONGEST_ANSWER].decode("utf-8", "replace")
