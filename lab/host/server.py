"""The Functions host: HTTP routes with their keys, timers, and the durable dispatcher, around one or more workers.

Its guarantees are those of Azure Functions: an HTTP request is delivered once and answered 502 when its worker dies;
for activities and orchestrators' turns see ``lab.host.dispatch``.

Sources: azure-functions-host's ``/admin/functions/{name}`` and key rules as documented in
MicrosoftDocs/azure-docs:articles/azure-functions/{functions-bindings-http-webhook-trigger,security-concepts}.md.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import secrets
import sys
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web
from croniter import croniter

from lab.host.dispatch import Dispatcher, Instance, Loss
from lab.host.easy_auth import OWN_HEADERS, EasyAuth
from lab.host.engine import chosen
from lab.host.wire import WorkerDiedError, WorkerProcess

MAX_BODY = 100 * 1024 * 1024
_INSTANCES = "runtime/webhooks/durabletask/instances/"


class AppRoute(NamedTuple):
    """One HTTP-triggered function, as its index describes it."""

    function: str
    parameter: str
    methods: frozenset[str]
    pattern: re.Pattern[str]
    specificity: tuple[bool, ...]
    level: str
    client: str | None


@dataclass
class Timer:
    """One timer-triggered function. ``schedule`` is None when ``AzureWebJobs.NAME.Disabled`` is set.

    ``begun`` counts its firings; ``ended`` is the number of the latest of them that the app has answered.
    """

    function: str
    parameter: str
    schedule: str | None
    client: str | None
    last: datetime
    begun: int = 0
    ended: int = 0


class FunctionsHost:
    """Runs one app folder. ``settings`` is the app's whole environment, as app settings are in Azure."""

    def __init__(
        self,
        app_dir: Path,
        settings: dict[str, str],
        folder: Path,
        workers: int = 1,
        easy_auth: EasyAuth | None = None,
        python: str = sys.executable,
        engine: str | None = None,
        speed: float = 1.0,
    ) -> None:
        self._app_dir = app_dir
        self._settings = settings
        self._folder = folder
        self._worker_count = workers
        self._easy_auth = easy_auth
        self._python = python
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._dispatching = False
        self._away_until = 0.0
        self._instances: list[Instance] = []
        self.workers: list[WorkerProcess] = []
        self.routes: list[AppRoute] = []
        self.timers: dict[str, Timer] = {}
        self.index: list[dict[str, Any]] = []
        self.function_key = secrets.token_urlsafe(24)
        """The host's key, valid for every function; ``keys`` holds one for each function, valid for no other."""
        self.keys: dict[str, str] = {}
        self.master_key = secrets.token_urlsafe(24)
        self.url = ""
        host = json.loads((app_dir / "host.json").read_text())
        self._prefix = host.get("extensions", {}).get("http", {}).get("routePrefix", "api").strip("/")
        self._durable: dict[str, Any] = host.get("extensions", {}).get("durableTask", {})
        self.engine = chosen(engine, self._durable, speed, folder)

    async def start(self, port: int = 0) -> None:
        """Starts the engine, the workers, the dispatcher, the HTTP front and the timers, in that order."""
        await self.engine.start()
        self.dispatcher = Dispatcher(
            self.engine.address,
            activities=int(self._durable.get("maxConcurrentActivityFunctions", 10)),
            orchestrations=int(self._durable.get("maxConcurrentOrchestratorFunctions", 10)),
        )
        self._dispatching = True
        await asyncio.gather(*(self._start_instance() for _ in range(self._worker_count)))
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, max_line_size=65536)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, backlog=2048)
        await site.start()
        bound = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{bound}"
        self._keep(self._run_timers())

    @property
    def process_ids(self) -> list[int]:
        """The engine's processes and the workers'."""
        return [*self.engine.process_ids, *(worker.pid for worker in self.workers)]

    async def stop(self) -> None:
        """Ends everything that ``start`` started."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._runner:
            await self._runner.cleanup()
        if self._dispatching:
            await self.dispatcher.close()
        for worker in self.workers:
            await worker.stop()
        await self.engine.stop()

    def _keep(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_instance(self) -> None:
        self._keep(self._attend(Instance(), await self._start_worker()))

    async def _start_worker(self) -> WorkerProcess:
        log = self._folder / "worker.log"
        worker = await WorkerProcess.start(self._app_dir, self._settings, self._folder, log, self._python)
        if not self.index:
            self._learn(worker.index)
        self.workers.append(worker)
        return worker

    async def _attend(self, instance: Instance, worker: WorkerProcess) -> None:
        """Gives an instance its work items until it is lost, and a process whenever it has none.

        Then the platform starts another.
        """
        self._instances.append(instance)
        serving = asyncio.ensure_future(self.dispatcher.serve(instance))
        try:
            while not instance.lost:
                await instance.has(worker)
                await worker.gone.wait()
                self.workers.remove(worker)
                if not instance.lost:
                    worker = await self._next_worker()
        finally:
            self._instances.remove(instance)
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        self._keep(self._attend(Instance(), await self._next_worker()))

    async def _next_worker(self) -> WorkerProcess:
        await asyncio.sleep(self._away_until - asyncio.get_running_loop().time())
        return await self._start_worker()

    def lose_workers(self, seconds: float, loses: Loss = "process") -> list[WorkerProcess]:
        """Every worker dies at once, and the platform has no other for so many real seconds. Returns those that die."""
        self._away_until = asyncio.get_running_loop().time() + seconds
        return [process for instance in self._instances if (process := instance.kill(loses))]

    def _learn(self, index: list[dict[str, Any]]) -> None:
        self.index = index
        for function in index:
            name = function["name"]
            trigger = next(b for b in function["bindings"] if b["type"].endswith("Trigger"))
            client = next((b["name"] for b in function["bindings"] if b["type"] == "durableClient"), None)
            if trigger["type"] == "httpTrigger":
                template = trigger.get("route") or name
                pattern, specificity = _compile(f"{self._prefix}/{template}")
                methods = frozenset(
                    trigger.get("methods") or ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
                )
                level = trigger.get("authLevel", "FUNCTION").upper()
                self.keys[name] = secrets.token_urlsafe(24)
                self.routes.append(AppRoute(name, trigger["name"], methods, pattern, specificity, level, client))
            elif trigger["type"] == "timerTrigger":
                schedule = re.sub(r"%(\w+)%", lambda m: self._settings[m.group(1)], trigger["schedule"])
                disabled = self._settings.get(f"AzureWebJobs.{name}.Disabled", "").lower() in ("1", "true")
                self.timers[name] = Timer(
                    name, trigger["name"], None if disabled else schedule, client, datetime.now(UTC)
                )
            else:
                self.dispatcher.learn(name, trigger["type"], trigger["name"], client, self._client_binding)
        self.routes.sort(key=lambda route: route.specificity, reverse=True)

    def _client_binding(self) -> str:
        """The Durable extension's information for a durable client."""
        return json.dumps(
            {
                "taskHubName": self.engine.hub,
                "rpcBaseUrl": f"http://{self.engine.clients}",
                "httpBaseUrl": f"{self.url}/runtime/webhooks/durabletask",
                "requiredQueryStringParameters": "",
                "maxGrpcMessageSizeInBytes": 4 * 1024 * 1024,
            }
        )

    def _worker(self) -> WorkerProcess:
        alive = [worker for worker in self.workers if not worker.gone.is_set()]
        if not alive:
            raise WorkerDiedError("No worker is running.")
        return min(alive, key=lambda worker: worker.busy)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = request.path.strip("/")
        principal = self._easy_auth.headers(request) if self._easy_auth else {}
        if principal is None:
            return web.Response(status=401)
        if path.startswith("admin/functions/"):
            return await self._admin(request, path.removeprefix("admin/functions/"))
        if path.startswith(_INSTANCES) and request.method == "GET":
            return await self._instance(request, path.removeprefix(_INSTANCES))
        matched = [(route, match) for route in self.routes if (match := route.pattern.fullmatch(path))]
        for route, match in matched:
            if request.method in route.methods:
                if not self._allowed(route.level, request, self.keys[route.function]):
                    return web.Response(status=401)
                return await self._invoke(route, match, request, principal)
        return web.Response(status=405 if matched else 404)

    def _allowed(self, level: str, request: web.Request, own_key: str = "") -> bool:
        given = request.headers.get("x-functions-key") or request.query.get("code") or ""
        keys = {
            "ANONYMOUS": None,
            "FUNCTION": [own_key, self.function_key, self.master_key],
            "ADMIN": [self.master_key],
        }[level]
        return keys is None or any(secrets.compare_digest(given.encode(), key.encode()) for key in keys if key)

    async def _invoke(
        self, route: AppRoute, match: re.Match[str], request: web.Request, principal: dict[str, str]
    ) -> web.Response:
        headers = dict(request.headers)
        if self._easy_auth:
            headers = {k: v for k, v in headers.items() if not k.lower().startswith(OWN_HEADERS)} | principal
        if self.dispatcher.broken:
            return web.Response(status=500)
        value = {
            "method": request.method,
            "url": str(request.url),
            "headers": headers,
            "params": {name: text for name, text in match.groupdict().items() if text is not None},
            "query": {name: text for name, text in request.query.items() if name != "code"},
            "body": base64.b64encode(await request.read()).decode(),
        }
        try:
            answer = await self._worker().invoke(
                route.function, self._inputs(route.parameter, "http", value, route.client)
            )
        except WorkerDiedError:
            return web.Response(status=502)
        if not answer["ok"]:
            return web.Response(status=500)
        returned = answer["return"]
        return web.Response(
            status=returned["status"], headers=returned["headers"], body=base64.b64decode(returned["body"])
        )

    def _inputs(self, parameter: str, kind: str, value: Any, client: str | None) -> list[tuple[str, str, Any]]:
        inputs = [(parameter, kind, value)]
        if client:
            inputs.append((client, "string", self._client_binding()))
        return inputs

    async def _admin(self, request: web.Request, name: str) -> web.Response:
        if not self._allowed("ADMIN", request):
            return web.Response(status=401)
        if name not in self.timers or request.method != "POST":
            return web.Response(status=404)
        self._keep(self.fire(name))
        return web.Response(status=202)

    async def _instance(self, request: web.Request, instance_id: str) -> web.Response:
        """The Durable extension's status query: 202 while the instance moves, 200 when it is over.

        Source: MicrosoftDocs/azure-docs:articles/azure-functions/durable/durable-functions-http-api.md
        """
        if not self._allowed("ADMIN", request):
            return web.Response(status=401)
        status = await self.dispatcher.status(instance_id)
        if status is None:
            return web.Response(status=404)
        moving = status["runtimeStatus"] in ("Running", "Pending")
        return web.json_response(status, status=202 if moving else 200)

    async def fire(self, name: str) -> None:
        """Runs a timer function now, as the portal's "Run" does. Raises ``WorkerDiedError`` if its worker dies."""
        timer = self.timers[name]
        now = datetime.now(UTC)
        status = {"Last": timer.last.isoformat(), "Next": now.isoformat(), "LastUpdated": timer.last.isoformat()}
        timer.last = now
        timer.begun += 1
        number = timer.begun
        if self.dispatcher.broken:
            return
        payload = {"IsPastDue": False, "ScheduleStatus": status, "Schedule": {"AdjustForDST": True}}
        await self._worker().invoke(name, self._inputs(timer.parameter, "json", json.dumps(payload), timer.client))
        timer.ended = max(timer.ended, number)

    async def _run_timers(self) -> None:
        async def run(name: str, schedule: str) -> None:
            while True:
                due = croniter(schedule, datetime.now(UTC), second_at_beginning=True).get_next(datetime)
                await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
                with contextlib.suppress(WorkerDiedError):
                    await self.fire(name)

        await asyncio.gather(*(run(t.function, t.schedule) for t in self.timers.values() if t.schedule))

    def firings(self) -> dict[str, int]:
        """How often each scheduled timer has begun, for ``came_round``."""
        return {timer.function: timer.begun for timer in self.timers.values() if timer.schedule}

    def came_round(self, since: dict[str, int]) -> bool:
        """Whether every scheduled timer has begun and ended again: the app has seen the current state."""
        return all(self.timers[name].ended > begun for name, begun in since.items())


def _compile(template: str) -> tuple[re.Pattern[str], tuple[bool, ...]]:
    """Turns ``runs/{run_id}``, ``{plan:alpha}`` and ``{*rest}`` into a pattern; literal parts win over parameters."""
    parts, literal = [], []
    for segment in template.strip("/").split("/"):
        parameter = re.fullmatch(r"\{(\*?)(\w+)(?::(\w+))?\??\}", segment)
        literal.append(parameter is None)
        if parameter is None:
            parts.append(re.escape(segment))
        elif parameter[1]:
            parts.append(f"(?P<{parameter[2]}>.*)")
        else:
            parts.append(f"(?P<{parameter[2]}>{'[A-Za-z]+' if parameter[3] == 'alpha' else '[^/]+'})")
    return re.compile("/".join(parts)), tuple(literal)
