"""A worker and a client played by hand over real gRPC, so that a test decides whether and when an answer is sent."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend

from tests.waiting import LIMIT

SILENCE = 0.5
"""Seconds without a work item after which none will come: both backends poll every 0.1 s."""


class Stream:
    """One worker's stream of work items."""

    def __init__(self, stub: stubs.TaskHubSidecarServiceStub) -> None:
        self._call = stub.GetWorkItems(pb.GetWorkItemsRequest())
        self._items: queue.Queue[pb.WorkItem] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(grpc.RpcError):
            for item in self._call:
                self._items.put(item)

    def take(self) -> pb.WorkItem:
        return self._items.get(timeout=LIMIT)

    def silent(self) -> bool:
        try:
            self._items.get(timeout=SILENCE)
        except queue.Empty:
            return True
        return False

    def end(self) -> None:
        self._call.cancel()


class Peer:
    """A client and a worker of one backend."""

    def __init__(self, backend: InMemoryOrchestrationBackend) -> None:
        self.port = int(backend.start().rpartition(":")[2])
        self._backend = backend
        self._channel = grpc.insecure_channel(
            f"127.0.0.1:{self.port}", options=[("grpc.max_receive_message_length", -1)]
        )
        self.stub = stubs.TaskHubSidecarServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()
        self._backend.stop(grace=0)

    def start(self, instance_id: str, **more: Any) -> None:
        self.stub.StartInstance(pb.CreateInstanceRequest(instanceId=instance_id, name="Work", **more))

    def stream(self) -> Stream:
        return Stream(self.stub)

    def state(self, instance_id: str) -> pb.OrchestrationState:
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        return self.stub.GetInstance(request).orchestrationState

    def history(self, instance_id: str) -> list[str]:
        chunks = self.stub.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(instanceId=instance_id))
        return [kind for chunk in chunks for kind in kinds(chunk.events)]

    def waiting(self, instance_id: str) -> int:
        """How many clients' waits for this instance have reached the backend."""
        return len(self._backend._state_waiters.get(instance_id, []))

    def tell(self, instance_id: str) -> None:
        self.stub.RaiseEvent(pb.RaiseEventRequest(instanceId=instance_id, name="told"))

    def answer(self, turn: pb.WorkItem, *actions: pb.OrchestratorAction) -> None:
        instance_id = turn.orchestratorRequest.instanceId
        response = pb.OrchestratorResponse(
            instanceId=instance_id, actions=actions, completionToken=turn.completionToken
        )
        self.stub.CompleteOrchestratorTask(response)

    def answer_activity(self, item: pb.WorkItem, failure: pb.TaskFailureDetails | None = None) -> None:
        request = item.activityRequest
        response = pb.ActivityResponse(
            instanceId=request.orchestrationInstance.instanceId,
            taskId=request.taskId,
            completionToken=item.completionToken,
            failureDetails=failure,
        )
        self.stub.CompleteActivityTask(response)


def kinds(events: Iterable[pb.HistoryEvent]) -> list[str]:
    return [str(event.WhichOneof("eventType")) for event in events]


def new_kinds(turn: pb.WorkItem) -> list[str]:
    return kinds(turn.orchestratorRequest.newEvents)


def new_event(turn: pb.WorkItem, kind: str) -> Any:
    return next(getattr(event, kind) for event in turn.orchestratorRequest.newEvents if event.HasField(kind))


def activity(name: str = "Charge") -> pb.OrchestratorAction:
    return helpers.new_schedule_task_action(1, name, "1", None)


def timer(seconds: float) -> pb.OrchestratorAction:
    return helpers.new_create_timer_action(1, datetime.now(UTC) + timedelta(seconds=seconds))


def fire_time(timed: pb.CreateTimerAction | pb.TimerFiredEvent) -> datetime:
    return timed.fireAt.ToDatetime(tzinfo=UTC)


def child(task_id: int = 7) -> pb.OrchestratorAction:
    return helpers.new_create_sub_orchestration_action(task_id, "Child", "child", None, None)


def send_events(count: int) -> list[pb.OrchestratorAction]:
    """The event has no recipient: only the sender's history grows."""
    return [helpers.new_send_event_action(number, "nobody", "told", None) for number in range(count)]


def end(status: pb.OrchestrationStatus = pb.ORCHESTRATION_STATUS_COMPLETED, **more: Any) -> pb.OrchestratorAction:
    return helpers.new_complete_orchestration_action(-1, status, **more)


def continue_as_new() -> pb.OrchestratorAction:
    return end(pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW)


def failure(kind: str, message: str) -> pb.TaskFailureDetails:
    return pb.TaskFailureDetails(errorType=kind, errorMessage=message)


def free_port() -> int:
    """The uncorrected backend cannot choose one itself."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
