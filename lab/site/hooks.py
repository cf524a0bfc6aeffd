"""The hooks that a plan names: the business's own automation, which answers truthfully or not."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

FENCE = "FENCE_HOOK"
"""The app setting that holds the address of the hook that stops the primary's writes."""


@dataclass
class Behaviour:
    """How a hook answers; without ``effect`` it answers and does nothing."""

    status: int = 200
    effect: bool = True


class Hooks:
    """One hook for each app setting that names one. ``reaches`` says whether the primary can be reached at all."""

    def __init__(self, reaches: Callable[[], bool], stop_writes: Callable[[bool], None]) -> None:
        self._reaches = reaches
        self._stop_writes = stop_writes
        self._secret = secrets.token_hex(12)
        self.behaviours: dict[str, Behaviour] = {FENCE: Behaviour()}

    def route(self, app: web.Application) -> None:
        app.router.add_post(f"/hooks/{self._secret}/{{name}}", self._answer)

    def addresses(self, base: str) -> dict[str, str]:
        """The app settings with the address of this hook."""
        return {name: f"{base}/hooks/{self._secret}/{name}" for name in self.behaviours}

    async def _answer(self, request: web.Request) -> web.Response:
        """The fence: ``{"action": "stop" | "resume"}``. For a site that is out of reach a gateway answers."""
        behaviour = self.behaviours[request.match_info["name"]]
        action = (await request.json()).get("action")
        if not self._reaches():
            return web.Response(status=502, text="the primary cannot be reached")
        if behaviour.status < 300 and behaviour.effect:
            self._stop_writes(action == "stop")
        return web.Response(status=behaviour.status)
