"""A page of the running lab with buttons that hurt it: a visitor breaks something, and watches Coldsite's page."""

from __future__ import annotations

import secrets
from html import escape
from typing import Any

from aiohttp import web

from lab.actions import Actions
from lab.scenario import Event

HURTS: dict[str, tuple[str, dict[str, Any]]] = {
    "stop-primary": ("Stop the primary site", {"do": "site.stop", "target": "primary"}),
    "start-primary": ("Start it again", {"do": "site.start", "target": "primary"}),
    "stop-sql": ("Stop only its SQL Server", {"do": "site.stop", "target": "primary/sql"}),
    "cut-public": ("Cut its Internet line", {"do": "network.cut", "path": "public"}),
    "cut-private": ("Cut the VPN", {"do": "network.cut", "path": "private"}),
    "cut-observer": ("Cut off Coldsite itself", {"do": "network.cut", "path": "observer"}),
    "mirroring": ("Let the replica mirror", {"do": "replication.state", "state": "mirroring"}),
    "capacity": (
        "Refuse the next machine: no capacity",
        {"do": "arm.fault", "operation": "PUT virtualMachines", "error": "AllocationFailed"},
    ),
    "suspect": (
        "SQL Server comes up SUSPECT in Azure",
        {"do": "sql.state", "target": "recovery/sql", "state": "SUSPECT"},
    ),
    "kill": ("Kill the app's worker", {"do": "worker.kill", "when": "now"}),
}
HEALS: tuple[dict[str, Any], ...] = (
    {"do": "site.start", "target": "primary"},
    {"do": "network.heal", "path": "public"},
    {"do": "network.heal", "path": "private"},
    {"do": "network.heal", "path": "observer"},
    {"do": "replication.state", "state": "good"},
    {"do": "sql.state", "target": "recovery/sql", "state": "ONLINE"},
    {"do": "arm.heal"},
)
_STYLE = (
    "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 1rem auto; padding: 0 1rem; }"
    "button { font: inherit; padding: .6rem 1rem; margin: .2rem 0; width: 100%; text-align: left; }"
)


class Breaking:
    """The page and its buttons, at an address that only the person at this machine knows."""

    def __init__(self, actions: Actions, page: str) -> None:
        """``page`` is the address of Coldsite's page."""
        self._actions = actions
        self._page = page
        self._path = f"/break/{secrets.token_hex(8)}"
        self._done: list[str] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Returns the page's address."""
        app = web.Application()
        app.router.add_get(self._path, self._show)
        app.router.add_post(f"{self._path}/{{name}}", self._act)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}{self._path}"

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _act(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name == "heal":
            for event in HEALS:
                await self._do(event)
            self._done.append("Everything is healed")
        elif name in HURTS:
            label, event = HURTS[name]
            await self._do(event)
            self._done.append(label)
        else:
            raise web.HTTPNotFound
        raise web.HTTPSeeOther(self._path)

    async def _do(self, event: dict[str, Any]) -> None:
        await self._actions.perform(Event.model_validate({"at": "0s", **event}))

    async def _show(self, request: web.Request) -> web.Response:
        buttons = "".join(
            f'<form method="post" action="{self._path}/{name}"><button>{escape(label)}</button></form>'
            for name, (label, _) in HURTS.items()
        )
        done = "".join(f"<li>{escape(label)}</li>" for label in self._done[-8:])
        text = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Break the lab</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
            f"<h1>Break the lab</h1><p>Everything here is simulated. Watch <a href='{escape(self._page)}' "
            f"target='_blank'>Coldsite's page</a> while you break something.</p>{buttons}"
            f'<form method="post" action="{self._path}/heal"><button>Heal everything</button></form>'
            f"<h2>Done so far</h2><ol>{done or '<li>Nothing yet.</li>'}</ol></body></html>"
        )
        return web.Response(text=text, content_type="text/html")
