"""The Functions host without processes: the app's own functions, called in this one, by the index that Azure reads.

Every invocation belongs to one of ``workers`` worker processes that exist in name only; when one is killed, what runs
in it is cancelled where it stands. What becomes of that is what ``lab.host.dispatch`` does, for its reasons.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import grpc
from durabletask.client import OrchestrationStatus
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb

from lab.host.dispatch import _CANNOT_IMPORT as CANNOT_IMPORT
from lab.host.dispatch import _INVOCATION_FAILED as EXITED
from lab.host.dispatch import KillOrder, Loss, _failed_turn
from lab.host.engine import Provider
from lab.host.server import FunctionsHost
from lab.host.wire import WorkerDiedError
from shared.services import handle_alert
from tests.model.engine import Hub, Instance
from tests.replay.replay import app_functions

RESTART = 10.0
"""Seconds until a worker process that died has a successor."""


class Worker:
    """One worker process in name: it invokes the app's functions until it is killed, with everything that runs in it."""

    pid = 0

    def __init__(self, hub: VirtualHub, starts_at: float = 0.0) -> None:
        self._hub = hub
        self._running: set[asyncio.Task[Any]] = set()
        self.starts_at = starts_at
        self.lost = False
        self.gone = asyncio.Event()
        self.under_fire: KillOrder | None = None

    @property
    def busy(self) -> int:
        return len(self._running)

    @property
    def is_alive(self) -> bool:
        return not self.gone.is_set() and self.starts_at <= asyncio.get_running_loop().time()

    def kill(self, loses: Loss) -> None:
        self.lost = loses == "instance"
        self.under_fire = None
        self.gone.set()
        for task in list(self._running):
            task.cancel("killed")
        handle_alert._together.clear()

    async def invoke(self, function: str, inputs: list[tuple[str, str, Any]]) -> dict[str, Any]:
        """Runs one function with what its bindings would bring, and answers as the worker does over its wire.

        Raises ``WorkerDiedError`` when the worker is killed meanwhile.
        """
        arguments = {name: self._bound(function, kind, value) for name, kind, value in inputs}
        task: asyncio.Task[Any] = asyncio.ensure_future(_user_functions()[function](**arguments))  # type: ignore[arg-type]
        self._running.add(task)
        try:
            returned = await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise WorkerDiedError("The worker died.") from None
            task.cancel()
            raise
        except Exception as error:  # noqa: BLE001 (it is the function's failure)
            message = str(error) or "no message"
            return {"ok": False, "error": {"type": type(error).__name__, "message": message}}
        finally:
            self._running.discard(task)
        return {"ok": True, "return": _plain(returned)}

    def _bound(self, function: str, kind: str, value: Any) -> Any:
        match kind:
            case "http":
                return func.HttpRequest(
                    value["method"],
                    value["url"],
                    headers=value["headers"],
                    params=value["query"],
                    route_params=value["params"],
                    body=base64.b64decode(value["body"]),
                )
            case "string":
                return DurableClient(self._hub)
            case _:
                return json.loads(value)


def _plain(returned: Any) -> Any:
    if not isinstance(returned, func.HttpResponse):
        return json.dumps(returned)
    headers = {**returned.headers, "Content-Type": returned.mimetype}
    body = base64.b64encode(returned.get_body()).decode()
    return {"status": returned.status_code, "headers": headers, "body": body}


class VirtualHub(Hub):
    """Orchestrations on the loop's clock; activities are the app's own."""

    def __init__(self, dispatcher: VirtualDispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher

    def clock(self) -> datetime:
        return datetime.now(UTC)

    def at(self, when: datetime, call: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_at(loop.time() + max(0.0, (when - self.clock()).total_seconds()), call)

    def _turn(self, instance: Instance) -> None:
        if wait := self._dispatcher.away:
            asyncio.get_running_loop().call_later(wait + 0.001, lambda: self._turn(instance))
        elif self._dispatcher.broken and instance.status == "running":
            self._complete(instance, _failed_turn(*CANNOT_IMPORT).actions[0].completeOrchestration)
        else:
            super()._turn(instance)

    def _give(self, instance: Instance, task_id: int, name: str, order: str) -> None:
        generation = instance.generation

        async def perform() -> None:
            event = await self._dispatcher.perform(task_id, name, order)
            if instance.generation == generation and self.instances.get(instance.id) is instance:
                self._tell(instance, event)

        self._dispatcher.keep(perform())

    def end(self, instance_id: str) -> None:
        """Terminates an orchestration and its children, as from the portal: none of them is asked or told."""
        for instance in self.instances.values():
            if instance.status == "running" and (
                instance.id == instance_id or (instance.parent and instance.parent.instance.id == instance_id)
            ):
                instance.status = "failed"


class VirtualDispatcher:
    """What the lab's actions ask of the dispatcher, and the performing of activities, one after another worker."""

    def __init__(self, count: int, slots: int, visibility: float) -> None:
        self.hub = VirtualHub(self)
        self.workers = [Worker(self.hub) for _ in range(count)]
        self.broken = False
        self._visibility = visibility
        self._activities: dict[str, str] = {}
        self._slots = asyncio.Semaphore(slots * count)
        self._turns = itertools.count()
        self._kills: list[KillOrder] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    def learn(self, name: str, kind: str, parameter: str, *_: object) -> None:
        if kind == "activityTrigger":
            self._activities[name] = parameter

    def keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def activities(self) -> list[str]:
        return sorted(name for name in self._activities if not name.startswith("BuiltIn__"))

    @property
    def away(self) -> float:
        """Seconds until any worker is alive."""
        return max(0.0, min(worker.starts_at for worker in self.workers) - asyncio.get_running_loop().time())

    def kill_next(self, order: KillOrder) -> None:
        self._kills.append(order)

    @property
    def spared(self) -> list[str]:
        return [f"{order.when}:{order.activity}" for order in self._kills if not order.happened]

    def kill(self, worker: Worker, loses: Loss, seconds: float = RESTART) -> None:
        """Ends a worker. Its successor comes after so many seconds."""
        worker.kill(loses)
        if worker in self.workers:
            back = asyncio.get_running_loop().time() + max(seconds, RESTART)
            self.workers[self.workers.index(worker)] = Worker(self.hub, back)

    def strike(self, write: str) -> bool:
        """A write was applied: ends the workers for which it was meant. True when there were any."""
        doomed = {
            worker: worker.under_fire
            for worker in self.workers
            if worker.under_fire and worker.under_fire.write in (None, write)
        }
        for worker, order in doomed.items():
            self.kill(worker, order.loses)
        return bool(doomed)

    async def lose(self, instance_id: str) -> None:
        self.hub.end(instance_id)

    async def status(self, instance_id: str) -> dict[str, Any] | None:
        words = {"running": "Running", "ended": "Completed"}
        word = words.get(self.hub.state(instance_id))
        return {"runtimeStatus": word} if word else None

    async def worker(self) -> Worker:
        """The next worker's turn, once one is alive."""
        while True:
            if wait := self.away:
                await asyncio.sleep(wait + 0.001)
            if alive := [worker for worker in self.workers if worker.is_alive]:
                return alive[next(self._turns) % len(alive)]

    async def perform(self, task_id: int, name: str, order: str) -> pb.HistoryEvent:
        """Runs an activity until there is an answer. A lost instance gives none, and another does it later."""
        while True:
            async with self._slots:
                worker = await self.worker()
                try:
                    return await self._run(worker, task_id, name, order)
                except WorkerDiedError as error:
                    if not worker.lost:
                        return _failed(task_id, EXITED, str(error))
            await asyncio.sleep(self._visibility)

    async def _run(self, worker: Worker, task_id: int, name: str, order: str) -> pb.HistoryEvent:
        if self.broken:
            return _failed(task_id, *CANNOT_IMPORT)
        died = WorkerDiedError(f"Exception while executing function: Functions.{name}")
        if before := self._take("before", name):
            self.kill(worker, before.loses)
            raise died
        if during := self._take("during", name):
            worker.under_fire = during
        try:
            answer = await worker.invoke(name, [(self._activities[name], "json", order)])
        except WorkerDiedError:
            raise died from None
        if doomed := self._take("after", name) or (during if worker.under_fire is during else None):
            self.kill(worker, doomed.loses)
            raise died
        if answer["ok"]:
            return helpers.new_task_completed_event(task_id, answer["return"])
        # Azure passes an exception on as only the class name and the first line of the message.
        return _failed(task_id, answer["error"]["type"], answer["error"]["message"].splitlines()[0])

    def _take(self, when: str, activity: str) -> KillOrder | None:
        for order in self._kills:
            if (order.when, order.activity) == (when, activity) and order.times > 0:
                order.times -= 1
                order.happened = True
                return order
        return None


class DurableClient:
    """The calls of the durable client that the app makes, on the hub."""

    def __init__(self, hub: VirtualHub) -> None:
        self._hub = hub

    async def schedule_new_orchestration(self, name: str, *, input: Any, instance_id: str) -> None:
        if self._hub.state(instance_id) == "running":
            raise grpc.RpcError(f"{instance_id} is running")
        self._hub.start(name, instance_id, input)

    async def get_orchestration_state(self, instance_id: str, **_: Any) -> Any:
        words = {"running": OrchestrationStatus.RUNNING, "ended": OrchestrationStatus.COMPLETED}
        status = words.get(self._hub.state(instance_id))
        return SimpleNamespace(runtime_status=status) if status is not None else None

    async def raise_orchestration_event(self, instance_id: str, event: str, *, data: Any) -> None:
        self._hub.send(instance_id, event, data)

    async def purge_orchestrations_by(self, **_: Any) -> None:
        return None


class VirtualHost(FunctionsHost):
    """Routes, keys and timers as in the lab; workers in name only."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.engine = SimpleNamespace(name="virtual", hub="", address="", clients="")  # type: ignore[assignment]
        slots = int(self._durable.get("maxConcurrentActivityFunctions", 10))
        self.virtual = VirtualDispatcher(self._worker_count, slots, Provider.of(self._durable, speed=1.0).visibility)
        self.dispatcher = self.virtual  # type: ignore[assignment]
        self.workers = self.virtual.workers  # type: ignore[assignment]

    async def start(self, port: int = 0) -> None:
        self._learn(_index())
        if self._easy_auth:  # The app is imported once, before it is known whether people must sign in.
            self.routes = [route._replace(level="ANONYMOUS") for route in self.routes]
        self.url = "http://app.lab"
        self._keep(self._run_timers())

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.virtual.stop()

    @property
    def process_ids(self) -> list[int]:
        return []

    def lose_workers(self, seconds: float, loses: Loss = "process") -> list[Any]:
        hit = [worker for worker in self.virtual.workers if worker.is_alive]
        for worker in hit:
            self.virtual.kill(worker, loses, seconds)
        return hit

    def _worker(self) -> Any:
        alive = [worker for worker in self.virtual.workers if worker.is_alive]
        if not alive:
            raise WorkerDiedError("No worker is running.")
        return min(alive, key=lambda worker: worker.busy)


@functools.cache
def _user_functions() -> dict[str, Callable[..., Awaitable[Any]]]:
    """The app's functions by name; those with a durable client take it as an object."""
    found = {name: function.get_user_function() for name, function in app_functions().items()}
    return {name: getattr(function, "client_function", function) for name, function in found.items()}


def _index() -> list[dict[str, Any]]:
    """Every function with its bindings, as the worker reports them to the host."""
    return [
        {"name": name, "bindings": [json.loads(raw) for raw in function.get_raw_bindings()]}
        for name, function in app_functions().items()
    ]


def _failed(task_id: int, kind: str, message: str) -> pb.HistoryEvent:
    details = pb.TaskFailureDetails(errorType=kind, errorMessage=message)
    return pb.HistoryEvent(eventId=-1, taskFailed=pb.TaskFailedEvent(taskScheduledId=task_id, failureDetails=details))
