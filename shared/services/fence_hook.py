"""The hook that stops the source's writes and resumes them."""

from __future__ import annotations

from typing import Literal

import aiohttp

from shared import settings
from shared.models.base import Strict
from shared.models.errors import SettingError
from shared.models.plan import Fence
from shared.models.steps import StepEnd


class Fenced(Strict):
    """``reached`` is False where it is certain that the hook did not receive the call."""

    done: bool
    detail: str
    reached: bool = True

    def as_step(self) -> StepEnd:
        return StepEnd(status="succeeded" if self.done else "failed", error=None if self.done else self.detail)


async def call_hook(fence: Fence, plan: str, run_id: str, action: Literal["stop", "resume"]) -> Fenced:
    """One call of the hook. Any answer is a result, and so is a time-out."""
    timeout = aiohttp.ClientTimeout(total=fence.timeout.total_seconds())
    try:
        url = settings.named(fence.hook)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                url, json={"run_id": run_id, "plan": plan, "action": action}, allow_redirects=False
            ) as response,
        ):
            return Fenced(done=200 <= response.status < 300, detail=f"the hook answered {response.status}")
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, SettingError) as error:
        return Fenced(done=False, detail=f"the hook was not reached ({type(error).__name__})", reached=False)
    except Exception as error:  # noqa: BLE001 (a hook's error is a result; its address may contain a secret)
        return Fenced(done=False, detail=f"the hook did not answer ({type(error).__name__})")
