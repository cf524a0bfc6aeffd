"""The provider's page: each Coldsite sends its status, signed, and all are shown, worst first."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment

from cli.contexts import Context
from cli.fleet import ORDER, Line, lines_of
from cli.options import out
from shared.models.durations import spoken
from shared.models.signing import is_genuine, key_of

SILENT_AFTER = 900
"""Seconds without a status, of which one comes every five minutes."""
_LARGEST = 256 * 1024
_PAGE, _SCRIPT = (Path(__file__).with_name(name) for name in ("fleet.html", "fleet.js"))


@dataclass
class Heard:
    """The newest status of one Coldsite, and when it came."""

    status: dict[str, Any]
    at: float


class FleetServer:
    """Receives and shows. A context without a secret cannot be verified, so it is not shown."""

    def __init__(self, contexts: dict[str, Context]) -> None:
        self._keys = {name: key_of(context.secret) for name, context in contexts.items() if context.secret}
        self._urls = {name: context.url.rstrip("/") for name, context in contexts.items()}
        self._heard: dict[str, Heard] = {}
        self._seen: dict[str, float] = {}
        self._page = Environment(autoescape=True).from_string(_PAGE.read_text(encoding="utf-8"))
        self._script = _SCRIPT.read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(self._script.encode()).digest()).decode()
        self._policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; connect-src 'self'; "
            "img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
        )

    def app(self) -> web.Application:
        made = web.Application(client_max_size=_LARGEST)
        made.router.add_post("/status/{name}", self.receive)
        made.router.add_get("/", self.show)
        return made

    async def receive(self, request: web.Request) -> web.Response:
        """A status of the context in the path. An unknown name and a wrong signature look alike."""
        name, body = request.match_info["name"], await request.read()
        headers = {key.lower(): value for key, value in request.headers.items()}
        key, message = self._keys.get(name), headers.get("webhook-id", "")
        if key is None or not is_genuine(key, headers, body, time.time()):
            return web.Response(status=401, text="The signature is missing, wrong or old.")
        if message in self._seen:
            return web.Response(status=204)
        try:
            status = json.loads(body)
            lines_of(name, status, self._urls[name])
        except (ValueError, KeyError, TypeError, AttributeError):
            return web.Response(status=422, text="This is not a status of Coldsite.")
        now = time.monotonic()
        self._seen = {message_id: at for message_id, at in self._seen.items() if now - at < SILENT_AFTER} | {
            message: now
        }
        self._heard[name] = Heard(status, now)
        return web.Response(status=204)

    def lines(self) -> list[Line]:
        """Every plan of every Coldsite, worst first; one that has not been heard of for a while is silent."""
        found: list[Line] = []
        for name in self._keys:
            heard, url = self._heard.get(name), self._urls[name]
            age = time.monotonic() - heard.at if heard else None
            if heard is None or age is None or age > SILENT_AFTER:
                since = f"No status received for {spoken(age)}." if age is not None else "No status received yet."
                found.append(Line(name, "", "SILENT", "silent", since, f"{url}/api/dashboard"))
            else:
                found += lines_of(name, heard.status, url)
        return sorted(found, key=lambda line: line.rank)

    async def show(self, request: web.Request) -> web.Response:
        lines = self.lines()
        well = sum(line.tone == ORDER[-1] for line in lines)
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        text = self._page.render(lines=lines, well=well, at=at, script=self._script)
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": self._policy})


async def serve_forever(host: str, port: int, contexts: dict[str, Context]) -> None:
    """Serves until it is interrupted."""
    runner = web.AppRunner(FleetServer(contexts).app(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        out.print(f"http://{host}:{port}/ shows every customer; each Coldsite sends to /status/NAME.", markup=False)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
