"""The durable dispatcher: takes work items from the hub, gives them to a worker, and answers the hub.

A worker may be killed before an activity reaches it or after its effect and before its answer: ``kill_next`` orders
that, so that every crash point of every activity can be tried. The fate of its work depends on what died, as in Azure.
A process alone: the host that started it continues, so its activities have *failed*, and its orchestrators' turns are
run again on the next process. The whole instance: nothing is answered, and the hub gives the work to another instance
once its messages are visible again.

Source: Azure/azure-functions-durable-extension 3.19.0, OutOfProcMiddleware.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from google.protobuf import wrappers_pb2

from lab.host.hub import MAX_MESSAGE_BYTES
from lab.host.wire import WorkerDiedError, WorkerProcess


class InvocationTarget(NamedTuple):
    """A durable function and the names of its trigger and its client binding."""

    kind: str
    parameter: str
    client: str | None
    client_binding: Callable[[], str]


Loss = Literal["process", "instance"]
"""What is lost when a worker is killed: its process alone, or the machine with it."""


@dataclass
class KillOrder:
    """Kill the worker that gets ``activity``, ``when`` is before, during or after, ``times`` times.

    ``during`` means that a write of the activity was applied and is never answered: its first to Azure or to the
    history, or only one of them where ``write`` says so. An activity that makes none dies before its own answer.
    """

    when: str
    activity: str
    times: int = 1
    write: Literal["azure", "history"] | None = None
    loses: Loss = "process"
    happened: bool = False


class Instance:
    """One machine of the app: its host's stream of work items, and the worker process that does them at present."""

    def __init__(self) -> None:
        self.lost = False
        self._process: WorkerProcess | None = None
        self._changed = asyncio.Condition()

    async def has(self, process: WorkerProcess) -> None:
        """``process`` does the work from now on."""
        async with self._changed:
            self._process = process
            self._changed.notify_all()

    async def process(self) -> WorkerProcess:
        """The process that is running, as soon as there is one."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._process is not None and not self._process.gone.is_set())
            assert self._process is not None
            return self._process

    def kill(self, loses: Loss) -> WorkerProcess | None:
        """Ends the process at once and returns it; with ``instance`` nothing that it worked on is answered.

        While the next process starts there is nothing to end.
        """
        if self._process is None or self._process.gone.is_set():
            return None
        self.lost = self.lost or loses == "instance"
        self._process.kill()
        return self._process


class Dispatcher:
    """Serves any number of instances from one hub, each over a stream of its own."""

    def __init__(self, hub_address: str, activities: int, orchestrations: int) -> None:
        options = [(f"grpc.max_{way}_message_length", MAX_MESSAGE_BYTES) for way in ("send", "receive")]
        self._channel = grpc.aio.insecure_channel(hub_address, options=options)
        self._hub: Any = stubs.TaskHubSidecarServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._targets: dict[str, InvocationTarget] = {}
        self._limits = {"activityTrigger": activities, "orchestrationTrigger": orchestrations}
        self._kills: list[KillOrder] = []
        self.broken = False
        """The deployed code cannot be imported: every call to it fails, and an orchestration fails for good."""
        self._under_fire: dict[Instance, KillOrder] = {}
        """Instances whose next write is applied and never answered."""

    def learn(self, name: str, kind: str, parameter: str, client: str | None, binding: Callable[[], str]) -> None:
        self._targets[name] = InvocationTarget(kind, parameter, client, binding)

    @property
    def activities(self) -> list[str]:
        """The names of the app's activities, from its own index."""
        return sorted(name for name, target in self._targets.items() if target.kind == "activityTrigger")

    def kill_next(self, order: KillOrder) -> None:
        self._kills.append(order)

    @property
    def spared(self) -> list[str]:
        """Ordered kills that never happened: such a test has tried nothing."""
        return [f"{order.when}:{order.activity}" for order in self._kills if not order.happened]

    def strike(self, write: Literal["azure", "history"]) -> bool:
        """A write was applied: kills the workers for which it was meant. True when there were any."""
        doomed = {instance: order for instance, order in self._under_fire.items() if order.write in (None, write)}
        for instance, order in doomed.items():
            del self._under_fire[instance]
            instance.kill(order.loses)
        return bool(doomed)

    async def status(self, instance_id: str) -> dict[str, Any] | None:
        """An instance's status in the words of the extension's HTTP API; None when it is unknown."""
        found = await self._hub.GetInstance(pb.GetInstanceRequest(instanceId=instance_id))
        if not found.exists:
            return None
        state = found.orchestrationState
        word = pb.OrchestrationStatus.Name(state.orchestrationStatus).removeprefix("ORCHESTRATION_STATUS_")
        return {
            "name": state.name,
            "instanceId": state.instanceId,
            "runtimeStatus": word.capitalize(),
            "createdTime": state.createdTimestamp.ToJsonString(),
            "lastUpdatedTime": state.lastUpdatedTimestamp.ToJsonString(),
        }

    async def lose(self, instance_id: str) -> None:
        """Ends an orchestration from outside, as a person in the portal may: it receives no event."""
        await self._hub.TerminateInstance(pb.TerminateRequest(instanceId=instance_id, recursive=True))

    async def close(self) -> None:
        await self._channel.close()

    async def serve(self, instance: Instance) -> None:
        """Feeds one instance until cancelled, whatever happens to its process."""
        slots = {kind: asyncio.Semaphore(limit) for kind, limit in self._limits.items()}
        running: set[asyncio.Task[None]] = set()
        stream = self._hub.GetWorkItems(pb.GetWorkItemsRequest())
        try:
            async for item in stream:
                task = asyncio.create_task(self._do(item, instance, slots))
                running.add(task)
                task.add_done_callback(running.discard)
        except grpc.aio.AioRpcError as error:
            if not instance.lost and error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                raise
        finally:
            stream.cancel()
            for task in running:
                task.cancel()

    async def _do(self, item: pb.WorkItem, instance: Instance, slots: dict[str, asyncio.Semaphore]) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError):
            if item.HasField("orchestratorRequest"):
                async with slots["orchestrationTrigger"]:
                    await self._run_turn(item, instance)
            elif item.HasField("activityRequest"):
                async with slots["activityTrigger"]:
                    await self._run_activity(item, instance)

    async def _run_turn(self, item: pb.WorkItem, instance: Instance) -> None:
        request = item.orchestratorRequest
        started = [
            e.executionStarted.name for e in [*request.pastEvents, *request.newEvents] if e.HasField("executionStarted")
        ]
        target = self._targets.get(started[-1] if started else "")
        if self.broken:
            response = _failed_turn(*_CANNOT_IMPORT)
        elif target is None:
            response = _failed_turn("FunctionNotFound", f"The app has no orchestrator named {started[-1:]}.")
        else:
            payload = base64.b64encode(request.SerializeToString()).decode()
            answer = await self._answer_of_a_process(instance, started[-1], [(target.parameter, "string", payload)])
            if instance.lost:
                return
            if answer["ok"]:
                response = pb.OrchestratorResponse.FromString(base64.b64decode(answer["return"]))
            else:
                response = _failed_turn(answer["error"]["type"], answer["error"]["message"])
        response.instanceId = request.instanceId
        response.completionToken = item.completionToken
        await self._hub.CompleteOrchestratorTask(response)

    async def _answer_of_a_process(
        self, instance: Instance, function: str, inputs: list[tuple[str, str, Any]]
    ) -> dict[str, Any]:
        """A turn changes nothing until it is answered, so after a process's death the next one runs it."""
        while True:
            process = await instance.process()
            try:
                return await process.invoke(function, inputs)
            except WorkerDiedError:
                if instance.lost:
                    return {}

    async def _run_activity(self, item: pb.WorkItem, instance: Instance) -> None:
        request = item.activityRequest
        response = pb.ActivityResponse(
            instanceId=request.orchestrationInstance.instanceId,
            taskId=request.taskId,
            completionToken=item.completionToken,
        )
        target = self._targets.get(request.name)
        if self.broken:
            response.failureDetails.CopyFrom(_failure(*_CANNOT_IMPORT))
        elif target is None:
            response.failureDetails.CopyFrom(
                _failure("FunctionNotFound", f"The app has no activity named {request.name}.")
            )
        else:
            try:
                answer = await self._perform(request.name, request.input.value or "null", target, instance)
            except WorkerDiedError as error:
                if instance.lost:
                    return
                answer = {"ok": False, "error": {"type": _INVOCATION_FAILED, "message": str(error)}}
            if answer["ok"]:
                if answer["return"] is not None:
                    response.result.CopyFrom(wrappers_pb2.StringValue(value=answer["return"]))
            else:
                # Azure passes on the bare class name and the first line of the message only.
                message = answer["error"]["message"].splitlines()[0]
                response.failureDetails.CopyFrom(_failure(answer["error"]["type"], message))
        await self._hub.CompleteActivityTask(response)

    async def _perform(self, name: str, order: str, target: InvocationTarget, instance: Instance) -> dict[str, Any]:
        """Runs an activity on the instance's process. Raises ``WorkerDiedError`` in the words of Azure if that dies."""
        process = await instance.process()
        inputs = [(target.parameter, "json", order)]
        if target.client:
            inputs.append((target.client, "string", target.client_binding()))
        died = WorkerDiedError(f"Exception while executing function: Functions.{name}")
        if self._is_killed("before", name, instance):
            raise died
        if during := self._take(self._kills, "during", name):
            self._under_fire[instance] = during
        try:
            answer = await process.invoke(name, inputs)
        except WorkerDiedError:
            self._under_fire.pop(instance, None)  # Its next process is not a target.
            raise died from None
        if self._is_killed("after", name, instance):
            raise died
        if during and self._under_fire.pop(instance, None) is during:
            instance.kill(during.loses)  # It wrote nothing.
            raise died
        return answer

    def _is_killed(self, when: str, activity: str, instance: Instance) -> bool:
        order = self._take(self._kills, when, activity)
        if order:
            instance.kill(order.loses)
        return order is not None

    @staticmethod
    def _take(orders: list[KillOrder], when: str, activity: str) -> KillOrder | None:
        for order in orders:
            if (order.when, order.activity) == (when, activity):
                order.times -= 1
                order.happened = True
                if order.times <= 0:
                    orders.remove(order)
                return order
        return None


_CANNOT_IMPORT = ("ModuleNotFoundError", "No module named 'shared'")
_INVOCATION_FAILED = "Microsoft.Azure.WebJobs.Host.FunctionInvocationException"
"""The type of an activity's failure when its worker process exits."""


def _failure(kind: str, message: str) -> pb.TaskFailureDetails:
    return pb.TaskFailureDetails(errorType=kind, errorMessage=message)


def _failed_turn(kind: str, message: str) -> pb.OrchestratorResponse:
    complete = pb.CompleteOrchestrationAction(
        orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=_failure(kind, message)
    )
    return pb.OrchestratorResponse(actions=[pb.OrchestratorAction(id=-1, completeOrchestration=complete)])
