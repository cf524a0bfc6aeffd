"""The webhooks of the business's own automation: stopping writes, resuming them, the final copy home."""

from __future__ import annotations

from datetime import timedelta

import aiohttp

from shared import settings
from shared.models.acts import ActReport, Called, read_report
from shared.models.errors import SettingError

_LONGEST_ANSWER = 64 * 1024


async def call_hook(hook: str, timeout: timedelta, plan: str, run_id: str, action: str) -> Called:
    """One call of the hook whose address is in the app setting ``hook``. Any answer is a result, as is a time-out."""
    try:
        url = settings.named(hook)
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout.total_seconds())) as session,
            session.post(
                url, json={"run_id": run_id, "plan": plan, "action": action}, allow_redirects=False
            ) as response,
        ):
            status, text = response.status, (await response.read())[:_LONGEST_ANSWER]
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, SettingError) as error:
        return Called(done=False, detail=f"the hook was not reached ({type(error).__name__})", reached=False)
    except Exception as error:  # noqa: BLE001 (a hook's error is a result; its address may contain a secret)
        return Called(done=False, detail=f"the hook did not answer ({type(error).__name__})")
    report = read_report(text.decode("utf-8", "replace")) or ActReport()
    done = 200 <= status < 300 and report.done is not False
    said = f": {report.message}" if report.message else ""
    return Called(done=done, detail=f"the hook answered {status}{said}", report=report)
