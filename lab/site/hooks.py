"""The hooks and scripts that a plan names: the business's own automation, which answers truthfully or not."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from lab.clock import Clock
from lab.site.home_copy import HomeCopy
from lab.site.world import Sites
from shared.models.plan import RecoveryPlan

FENCE = "FENCE_HOOK"
"""The app setting that holds the address of the hook that stops the primary's writes."""


@dataclass
class Behaviour:
    """How a hook answers; without ``effect`` it answers and does nothing. ``body`` is its answer instead, ``delay`` the
    simulated seconds that it takes.
    """

    status: int = 200
    effect: bool = True
    body: str | None = None
    delay: float = 0.0


class HookServers:
    """One hook for each app setting that names one, and the scripts on recovered machines. The fence answers only
    while the primary can be reached.
    """

    def __init__(self, plan: RecoveryPlan, sites: Sites, copy: HomeCopy, clock: Clock) -> None:
        self._sites = sites
        self._clock = clock
        self._copy = copy
        self._secret = secrets.token_hex(12)
        self._scripts = {text.strip(): name for name, text in plan.failback.script_texts.items()}
        self._scripts |= {text.strip(): name for name, text in plan.hooks.script_texts.items()}
        self._moments = plan.hooks.declared
        self.roles = {"fence": plan.fence.hook if plan.fence else FENCE}
        """The hook of each role. A script goes by the name of its role."""
        self.roles |= {name: act.hook or name for name, act in plan.failback.acts.items()}
        self.roles |= {moment: hook.hook or moment for moment, hook in self._moments.items()}
        self.behaviours: dict[str, Behaviour] = {name: Behaviour() for name in {FENCE, *self.roles.values()}}

    def route(self, app: web.Application) -> None:
        app.router.add_post(f"/hooks/{self._secret}/{{name}}", self._answer)

    def addresses(self, base: str) -> dict[str, str]:
        """The app settings with the address of this hook."""
        return {name: f"{base}/hooks/{self._secret}/{name}" for name in self.behaviours if name.isupper()}

    async def _answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        behaviour = self.behaviours[name]
        action = (await request.json()).get("action")
        await self._clock.sleep(behaviour.delay)
        if behaviour.body is not None:
            return web.Response(status=behaviour.status, text=behaviour.body)
        if action in self._moments:
            return web.Response(status=behaviour.status)
        role = next((role for role, hook in self.roles.items() if hook == name), "fence")
        if role != "fence":
            answer = self._act(role, action, behaviour)
            return web.json_response(answer, status=behaviour.status if answer["done"] else 502)
        if not self._sites.connected():  # For a site that is out of reach a gateway answers.
            return web.Response(status=502, text="the primary cannot be reached")
        if behaviour.status < 300 and behaviour.effect:
            self._sites.stop_writes(action == "stop")
        return web.Response(status=behaviour.status)

    def run_script(self, text: str, parameters: dict[str, str]) -> tuple[str, str]:
        """A script on a recovered machine: standard output and error."""
        role = self._scripts.get(text.strip())
        if role is None:
            return "", "This machine does not know the script."
        behaviour = self.behaviours[self.roles[role]]
        if behaviour.status >= 300:
            return "", f"The script ended with {behaviour.status}."
        if behaviour.body is not None or role in self._moments:
            return behaviour.body or json.dumps({"done": True}), ""
        return json.dumps(self._act(role, parameters.get("Action", ""), behaviour)), ""

    def _act(self, role: str, action: str, behaviour: Behaviour) -> dict[str, Any]:
        """What the documented scripts do: a tail-log backup leaves Azure's database RESTORING, and reports its last
        commit; the final copy restores the tail at home.
        """
        azure = self._sites.sql_of("recovery")
        if behaviour.status >= 300:
            return {"done": False, "message": "simulated"}
        if azure is None:
            return {"done": False, "message": "there is no database in Azure"}
        if not behaviour.effect:
            return {"done": True}
        if action == "sync":
            return {"done": self._copy.finish(), "message": "the copy to home does not run"}
        azure.state = "RESTORING" if action == "stop" else "ONLINE"
        newest = max((order.placed_at for order in azure.orders()), default=None)
        return {"done": True} | ({"newest_commits": {azure.database: newest}} if newest and action == "stop" else {})
