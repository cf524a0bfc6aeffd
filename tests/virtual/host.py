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
from dataclasses import dataclass, field
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


@dataclass(eq=False)
class Worker:
    """One worker process in name. ``running`` is what is cancelled with it."""

    running: set[asyncio.Task[Any]] = field(default_factory=set)
    dead_until: float = 0.0
    lost: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    pid: int = 0
    under_fire: KillOrder | None = None

    @property
    def busy(self) -> int:
        return len(self.running)


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
    """What the lab's actions ask of the dispatcher, and the performing of activities."""

    def __init__(self, workers: list[Worker], slots: int, visibility: float) -> None:
        self._functions: dict[str, Callable[[Any], Awaitable[Any]]] = {}
        self._workers = workers
        self._visibility = visibility
        self._slots = asyncio.Semaphore(slots * len(workers))
        self._turns = itertools.count()
        self._kills: list[KillOrder] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self.hub = VirtualHub(self)
        self.broken = False

    def learn(self, name: str, kind: str, *_: object) -> None:
        if kind == "activityTrigger":
            self._functions[name] = _user_functions()[name]

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
        return sorted(self._functions)

    @property
    def away(self) -> float:
        """Seconds until any worker is alive."""
        now = asyncio.get_running_loop().time()
        return max(0.0, min(worker.dead_until for worker in self._workers) - now)

    def kill_next(self, order: KillOrder) -> None:
        self._kills.append(order)

    @property
    def spared(self) -> list[str]:
        return [f"{order.when}:{order.activity}" for order in self._kills if not order.happened]

    def strike(self, write: str) -> bool:
        """A write was applied: ends the workers for which it was meant. True when there were any."""
        hit = False
        for worker in self._workers:
            order = worker.under_fire
            if order and order.write in (None, write):
                kill(worker, order.loses)
                hit = True
        return hit

    async def lose(self, instance_id: str) -> None:
        self.hub.end(instance_id)

    async def worker(self) -> Worker:
        """The next worker's turn, once one is alive."""
        while True:
            if wait := self.away:
                await asyncio.sleep(wait)
            now = asyncio.get_running_loop().time()
            alive = [worker for worker in self._workers if worker.dead_until <= now]
            if alive:
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
            kill(worker, before.loses)
            raise died
        if during := self._take("during", name):
            worker.under_fire = during
        try:
            result = await run_in(worker, self._functions[name](json.loads(order)))
        except WorkerDiedError:
            raise died from None
        except Exception as error:  # noqa: BLE001 (it is the activity's failure)
            return _failed(task_id, type(error).__name__, (str(error) or "no message").splitlines()[0])
        if doomed := self._take("after", name) or (during if worker.under_fire is during else None):
            kill(worker, doomed.loses)
            raise died
        return helpers.new_task_completed_event(task_id, json.dumps(result))

    def _take(self, when: str, activity: str) -> KillOrder | None:
        for order in self._kills:
            if (order.when, order.activity) == (when, activity) and order.times > 0:
                order.times -= 1
                order.happened = True
                return order
        return None


def kill(worker: Worker, loses: Loss, seconds: float = RESTART) -> None:
    """Ends what runs in a worker. Its successor comes after so many seconds."""
    worker.dead_until = asyncio.get_running_loop().time() + max(seconds, RESTART)
    worker.lost = loses == "instance"
    worker.under_fire = None
    for task in list(worker.running):
        task.cancel("killed")
    handle_alert._together.clear()


async def run_in[T](worker: Worker, work: Any) -> Any:
    """Awaits ``work`` in a worker. Raises ``WorkerDiedError`` when the worker is killed meanwhile."""
    task = asyncio.ensure_future(work)
    worker.running.add(task)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():
            raise WorkerDiedError("The worker died.") from None
        task.cancel()
        raise
    finally:
        worker.running.discard(task)


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
        self._in_name = [Worker() for _ in range(self._worker_count)]

    async def start(self, port: int = 0) -> None:
        slots = int(self._durable.get("maxConcurrentActivityFunctions", 10))
        self.dispatcher = VirtualDispatcher(self._in_name, slots, Provider.of(self._durable, speed=1.0).visibility)  # type: ignore[assignment]
        self._learn(_index())
        if self._easy_auth:  # The app is imported once, before it is known whether people must sign in.
            self.routes = [route._replace(level="ANONYMOUS") for route in self.routes]
        self.url = "http://app.lab"
        self._keep(self._run_timers())

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.dispatcher.stop()  # type: ignore[attr-defined]

    @property
    def process_ids(self) -> list[int]:
        return []

    def lose_workers(self, seconds: float, loses: Loss = "process") -> list[Any]:
        now = asyncio.get_running_loop().time()
        hit = [worker for worker in self._in_name if worker.dead_until <= now]
        for worker in hit:
            kill(worker, loses, seconds)
        return [SimpleNamespace(gone=SimpleNamespace(is_set=lambda: True)) for _ in hit]

    def _worker(self) -> Any:
        now = asyncio.get_running_loop().time()
        alive = [worker for worker in self._in_name if worker.dead_until <= now]
        if not alive:
            raise WorkerDiedError("No worker is running.")
        return _InName(min(alive, key=lambda worker: worker.busy), self.dispatcher.hub)  # type: ignore[attr-defined]


class _InName:
    """Invokes a function of the app in a worker, with what its bindings would bring."""

    def __init__(self, worker: Worker, hub: VirtualHub) -> None:
        self._worker = worker
        self._hub = hub

    async def invoke(self, function: str, inputs: list[tuple[str, str, Any]]) -> dict[str, Any]:
        arguments = {name: self._bound(kind, value) for name, kind, value in inputs}
        try:
            returned = await run_in(self._worker, _user_functions()[function](**arguments))
        except WorkerDiedError:
            raise
        except Exception as error:  # noqa: BLE001 (the host answers 500)
            return {"ok": False, "error": {"type": type(error).__name__, "message": str(error)}}
        if isinstance(returned, func.HttpResponse):
            body = base64.b64encode(returned.get_body()).decode()
            headers = {**returned.headers, "Content-Type": returned.mimetype}
            return {"ok": True, "return": {"status": returned.status_code, "headers": headers, "body": body}}
        return {"ok": True, "return": None}

    def _bound(self, kind: str, value: Any) -> Any:
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
                return SimpleNamespace(past_due=False)


@functools.cache
def _user_functions() -> dict[str, Callable[..., Awaitable[Any]]]:
    """The app's functions by name; those with a durable client take it as an object."""
    found = {name: one.get_user_function() for name, one in app_functions().items()}
    return {name: getattr(function, "client_function", function) for name, function in found.items()}


def _index() -> list[dict[str, Any]]:
    """Every function with its bindings, as the worker reports them to the host."""
    return [
        {"name": name, "bindings": [json.loads(raw) for raw in one.get_raw_bindings()]}
        for name, one in app_functions().items()
    ]


def _failed(task_id: int, kind: str, message: str) -> pb.HistoryEvent:
    details = pb.TaskFailureDetails(errorType=kind, errorMessage=message)
    return pb.HistoryEvent(eventId=-1, taskFailed=pb.TaskFailedEvent(taskScheduledId=task_id, failureDetails=details))
