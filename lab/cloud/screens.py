"""The pictures of machines' screens: boot diagnostics with a managed storage account.

Source: learn.microsoft.com/rest/api/compute/virtual-machines/retrieve-boot-diagnostics-data
"""

from __future__ import annotations

import secrets
from html import escape

from aiohttp import web

from lab.cloud.arm import Answer, Call, ResourceManager
from lab.cloud.compute import GROUP, VM_API, Compute


class Screens:
    """Each picture has an address of its own, which is all that is needed to see it; ``base`` serves them."""

    def __init__(self, arm: ResourceManager, compute: Compute) -> None:
        self._compute = compute
        self._pictures: dict[str, str] = {}
        self.base = ""
        action = "Microsoft.Compute/virtualMachines/retrieveBootDiagnosticsData/action"
        machine = f"{GROUP}/virtualMachines/{{name}}"
        arm.model("POST", f"{machine}/retrieveBootDiagnosticsData", action, VM_API, self._retrieve)

    def route(self, app: web.Application) -> None:
        app.router.add_get("/bootdiagnostics/{key}", self._show)

    async def _retrieve(self, call: Call) -> Answer:
        machine = self._compute.find(call.path.rsplit("/", 1)[0])
        key = secrets.token_hex(12)
        state = machine["properties"]["provisioningState"]
        self._pictures[key] = f"{machine['name']}: {'the system is starting' if state == 'Succeeded' else state}"
        url = f"{self.base}/bootdiagnostics/{key}"
        return Answer(200, {"consoleScreenshotBlobUri": url, "serialConsoleLogBlobUri": f"{url}.log"})

    async def _show(self, request: web.Request) -> web.Response:
        text = self._pictures.get(request.match_info["key"])
        if text is None:
            return web.Response(status=404)
        picture = (
            '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="480"><rect width="640" height="480"/>'
            f'<text x="40" y="240" fill="#fff" font-family="monospace">{escape(text)}</text></svg>'
        )
        return web.Response(text=picture, content_type="image/svg+xml")
