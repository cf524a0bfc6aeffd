"""The durable dispatcher: takes work items from the hub, gives them to a worker, and answers the hub.

A worker may be killed before an activity reaches it or after its effect and before its answer: ``kill_next`` orders
that, so that every crash point of every activity can be tried.
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


class Target(NamedTuple):
    """A durable function and how its trigger and its client binding are called."""

    kind: str
    parameter: str
    client: str | None
    client_binding: Callable[[], str]


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


class Dispatcher:
    """Serves any number of workers from one hub, each over a stream of its own."""

    def __init__(self, hub_address: str, activities: int, orchestrations: int) -> None:
        options = [(f"grpc.max_{way}_message_length", MAX_MESSAGE_BYTES) for way in ("send", "receive")]
        self._channel = grpc.aio.insecure_channel(hub_address, options=options)
        self._hub: Any = stubs.TaskHubSidecarServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._targets: dict[str, Target] = {}
        self._limits = {"activityTrigger": activities, "orchestrationTrigger": orchestrations}
        self._kills: list[KillOrder] = []
        self._under_fire: dict[WorkerProcess, KillOrder] = {}
        """Workers whose next write is applied and never answered."""

    def learn(self, name: str, kind: str, parameter: str, client: str | None, binding: Callable[[], str]) -> None:
        self._targets[name] = Target(kind, parameter, client, binding)

    @property
    def activities(self) -> list[str]:
        """The names of the app's activities, from its own index."""
        return sorted(name for name, target in self._targets.items() if target.kind == "activityTrigger")

    def kill_next(self, order: KillOrder) -> None:
        self._kills.append(order)

    def strike(self, write: Literal["azure", "history"]) -> bool:
        """A write was applied: kills the workers for which it was meant. True when there were any."""
        doomed = [worker for worker, order in self._under_fire.items() if order.write in (None, write)]
        for worker in doomed:
            del self._under_fire[worker]
            worker.kill()
        return bool(doomed)

    async def status(self, instance_id: str) -> dict[str, Any] | None:
        """What the hub knows of an instance, in the words of the extension's HTTP API; None when it knows nothing."""
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
        """Ends an orchestration from outside, as somebody in the portal may: it is never asked and never told."""
        await self._hub.TerminateInstance(pb.TerminateRequest(instanceId=instance_id, recursive=True))

    async def close(self) -> None:
        await self._channel.close()

    async def serve(self, worker: WorkerProcess) -> None:
        """Feeds one worker until cancelled. Ending the stream makes the hub give again what was not answered."""
        slots = {kind: asyncio.Semaphore(limit) for kind, limit in self._limits.items()}
        running: set[asyncio.Task[None]] = set()
        stream = self._hub.GetWorkItems(pb.GetWorkItemsRequest())
        try:
            async for item in stream:
                task = asyncio.create_task(self._give(item, worker, slots))
                running.add(task)
                task.add_done_callback(running.discard)
        except grpc.aio.AioRpcError as error:
            if not worker.gone.is_set() and error.code() not in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.CANCELLED,
            ):
                raise
        finally:
            stream.cancel()
            for task in running:
                task.cancel()

    async def _give(self, item: pb.WorkItem, worker: WorkerProcess, slots: dict[str, asyncio.Semaphore]) -> None:
        with contextlib.suppress(WorkerDiedError, grpc.aio.AioRpcError):
            if item.HasField("orchestratorRequest"):
                async with slots["orchestrationTrigger"]:
                    await self._run_turn(item, worker)
            elif item.HasField("activityRequest"):
                async with slots["activityTrigger"]:
                    await self._run_activity(item, worker)

    async def _run_turn(self, item: pb.WorkItem, worker: WorkerProcess) -> None:
        request = item.orchestratorRequest
        started = [
            e.executionStarted.name for e in [*request.pastEvents, *request.newEvents] if e.HasField("executionStarted")
        ]
        target = self._targets.get(started[-1] if started else "")
        if target is None:
            response = _failed_turn("FunctionNotFound", f"The app has no orchestrator named {started[-1:]}.")
        else:
            payload = base64.b64encode(request.SerializeToString()).decode()
            answer = await worker.invoke(started[-1], [(target.parameter, "string", payload)])
            if answer["ok"]:
                response = pb.OrchestratorResponse.FromString(base64.b64decode(answer["return"]))
            else:
                response = _failed_turn(answer["error"]["type"], answer["error"]["message"])
        response.instanceId = request.instanceId
        response.completionToken = item.completionToken
        await self._hub.CompleteOrchestratorTask(response)

    async def _run_activity(self, item: pb.WorkItem, worker: WorkerProcess) -> None:
        request = item.activityRequest
        response = pb.ActivityResponse(
            instanceId=request.orchestrationInstance.instanceId,
            taskId=request.taskId,
            completionToken=item.completionToken,
        )
        target = self._targets.get(request.name)
        if target is None:
            response.failureDetails.CopyFrom(
                _failure("FunctionNotFound", f"The app has no activity named {request.name}.")
            )
        else:
            self._kill("before", request.name, worker)
            if order := self._take(self._kills, "during", request.name):
                self._under_fire[worker] = order
            inputs = [(target.parameter, "json", request.input.value or "null")]
            if target.client:
                inputs.append((target.client, "string", target.client_binding()))
            answer = await worker.invoke(request.name, inputs)
            self._kill("after", request.name, worker)
            if order and self._under_fire.pop(worker, None) is order:
                worker.kill()
                raise WorkerDiedError(f"Killed during {request.name}, which wrote nothing.")
            if answer["ok"]:
                if answer["return"] is not None:
                    response.result.CopyFrom(wrappers_pb2.StringValue(value=answer["return"]))
            else:
                # Azure hands on the bare class name and the first line of the message, nothing more.
                message = answer["error"]["message"].splitlines()[0]
                response.failureDetails.CopyFrom(_failure(answer["error"]["type"], message))
        await self._hub.CompleteActivityTask(response)

    def _kill(self, when: str, activity: str, worker: WorkerProcess) -> None:
        if self._take(self._kills, when, activity):
            worker.kill()
            raise WorkerDiedError(f"Killed {when} {activity}.")

    @staticmethod
    def _take(orders: list[KillOrder], when: str, activity: str) -> KillOrder | None:
        for order in orders:
            if (order.when, order.activity) == (when, activity):
                order.times -= 1
                if order.times <= 0:
                    orders.remove(order)
                return order
        return None


def _failure(kind: str, message: str) -> pb.TaskFailureDetails:
    return pb.TaskFailureDetails(errorType=kind, errorMessage=message)


def _failed_turn(kind: str, message: str) -> pb.OrchestratorResponse:
    complete = pb.CompleteOrchestrationAction(
        orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=_failure(kind, message)
    )
    return pb.OrchestratorResponse(actions=[pb.OrchestratorAction(id=-1, completeOrchestration=complete)])
