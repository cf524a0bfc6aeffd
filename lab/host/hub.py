"""The task hub: durabletask's in-memory backend, corrected to behave as the Durable extension does in Azure.

It runs as a process of its own, so that the Functions host and its workers may die while every orchestration
survives. Each correction below has a test in ``tests/lab/test_hub.py`` that fails on the uncorrected backend.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent import futures
from datetime import UTC, datetime
from typing import Any, NamedTuple

import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from durabletask.testing.in_memory_backend import ActivityWorkItem, InMemoryOrchestrationBackend, OrchestrationInstance
from google.protobuf import timestamp_pb2, wrappers_pb2

MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class Lifetime(NamedTuple):
    """One execution of an instance: restarting an id or continuing as new begins another."""

    instance: OrchestrationInstance
    generation: int


class _Parent(NamedTuple):
    lifetime: Lifetime
    task_id: int


class _Alarms:
    """Calls functions at their time from one thread, however many wait."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="hub-alarms", daemon=True).start()

    def at(self, delay: float, call: Callable[[], None]) -> None:
        """Calls ``call`` after ``delay`` seconds."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay, next(self._order), call))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                call = heapq.heappop(self._due)[2]
            try:
                call()
            except Exception:  # noqa: BLE001 (all timers and all work of lost instances wait on this thread)
                traceback.print_exc()


class TaskHub(InMemoryOrchestrationBackend):
    """The corrected backend. Work items are given at least once, as in Azure.

    ``visibility`` is how many seconds the work of a lost instance waits until another may have it. ``grain`` is what a
    timer's wait is rounded down to, in seconds: Azure's queues hide a message for whole ones, so a timer is up to one
    early. Both are zero unless a lab says how long they are at its speed.
    """

    def __init__(self, visibility: float = 0.0, grain: float = 0.0) -> None:
        super().__init__(max_history_size=100_000, port=0)
        self._visibility = visibility
        self._grain = grain
        self._alarms = _Alarms()
        self._parents: dict[str, _Parent] = {}
        self._scheduled: dict[str, Lifetime] = {}
        self._given: dict[str, tuple[int, pb.WorkItem]] = {}
        self._streams = itertools.count()

    def start(self) -> str:
        """Listens on the loopback address only and with room for many waiting clients; returns ``host:port``."""
        options = [(f"grpc.max_{way}_message_length", MAX_MESSAGE_BYTES) for way in ("send", "receive")]
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=64), options=options)
        stubs.add_TaskHubSidecarServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call]
        self._port = server.add_insecure_port(f"127.0.0.1:{self._port}")
        self._server = server
        server.start()
        return f"127.0.0.1:{self._port}"

    # An ended instance id is overwritten, which is Azure's default (overridableExistingInstanceStates:
    # NonRunningStates); the backend would refuse it.
    def StartInstance(self, request: pb.CreateInstanceRequest, context: Any) -> pb.CreateInstanceResponse:
        with self._lock:
            existing = self._instances.get(request.instanceId)
            if existing and self._is_terminal_status(existing.status):
                del self._instances[request.instanceId]
                self._orchestration_queue_set.discard(request.instanceId)
            return super().StartInstance(request, context)

    # An event for an instance that has ended is refused; the backend would accept and never deliver it.
    # Source: Azure/azure-functions-durable-extension, TaskHubGrpcServer.RaiseEvent.
    def RaiseEvent(self, request: pb.RaiseEventRequest, context: Any) -> pb.RaiseEventResponse:
        with self._lock:
            instance = self._instances.get(request.instanceId)
            if instance and self._is_terminal_status(instance.status):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"The instance {request.instanceId} has ended.")
            return super().RaiseEvent(request, context)

    # A running instance is not purged; the backend would report that it did nothing.
    # Source: Azure/azure-functions-durable-extension, TaskHubGrpcServer.PurgeInstances.
    def PurgeInstances(self, request: pb.PurgeInstancesRequest, context: Any) -> pb.PurgeInstancesResponse:
        with self._lock:
            instance = self._instances.get(request.instanceId)
            if instance and not self._is_terminal_status(instance.status):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"The instance {request.instanceId} is running.")
            return super().PurgeInstances(request, context)

    # When a stream ends, its unanswered work is redelivered once its messages are visible.
    def GetWorkItems(self, request: pb.GetWorkItemsRequest, context: Any) -> Iterator[pb.WorkItem]:
        stream = next(self._streams)
        context.add_callback(lambda: self._alarms.at(self._visibility, lambda: self._give_again(stream)))
        for item in super().GetWorkItems(request, context):
            with self._lock:
                self._given[_key(item)] = (stream, item)
                ended = not context.is_active()
            if ended:
                self._alarms.at(self._visibility, lambda: self._give_again(stream))
                return
            yield item

    def _give_again(self, stream: int) -> None:
        with self._lock:
            lost = [key for key, (holder, _) in self._given.items() if holder == stream]
            for key in lost:
                _, item = self._given.pop(key)
                if item.HasField("orchestratorRequest"):
                    self._restore_orchestration(item.orchestratorRequest.instanceId, item.completionToken)
                else:
                    self._restore_activity(item)

    def _restore_orchestration(self, instance_id: str, token: str) -> None:
        instance = self._instances.get(instance_id)
        if instance is None or str(instance.completion_token) != token:
            return
        events = [
            e for e in instance.dispatched_events if instance.history == [] or not e.HasField("orchestratorStarted")
        ]
        instance.pending_events[:0] = events
        instance.dispatched_events.clear()
        instance.completion_token = self._next_completion_token
        self._next_completion_token += 1
        self._orchestration_in_flight.discard(instance_id)
        self._enqueue_orchestration(instance_id)

    def _restore_activity(self, item: pb.WorkItem) -> None:
        request = item.activityRequest
        again = ActivityWorkItem(
            instance_id=request.orchestrationInstance.instanceId,
            name=request.name,
            task_id=request.taskId,
            input=request.input.value if request.HasField("input") else None,
            completion_token=int(item.completionToken),
        )
        self._activity_queue.append(again)
        self._work_available.set()

    # A second answer to the same item, and an answer to a former execution, are ignored.
    def CompleteOrchestratorTask(self, request: pb.OrchestratorResponse, context: Any) -> pb.CompleteTaskResponse:
        with self._lock:
            if self._given.pop(f"o|{request.instanceId}|{request.completionToken}", None) is None:
                return pb.CompleteTaskResponse()
            for action in request.actions:
                complete = action.completeOrchestration if action.HasField("completeOrchestration") else None
                if complete is not None and complete.HasField("failureDetails"):
                    _say_something(complete.failureDetails)
            return super().CompleteOrchestratorTask(request, context)

    def CompleteActivityTask(self, request: pb.ActivityResponse, context: Any) -> pb.CompleteTaskResponse:
        key = f"a|{request.instanceId}|{request.taskId}|{request.completionToken}"
        with self._lock:
            if self._given.pop(key, None) is None or not self._alive(self._scheduled.pop(key, None)):
                return pb.CompleteTaskResponse()
            if request.HasField("failureDetails"):
                _say_something(request.failureDetails)
            return super().CompleteActivityTask(request, context)

    def _process_schedule_task_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        super()._process_schedule_task_action(instance, action)
        key = f"a|{instance.instance_id}|{action.id}|{instance.completion_token}"
        self._scheduled[key] = _lifetime(instance)

    # Timers belong to the execution that set them, one thread serves them all, and they are early as Azure's are.
    def _process_create_timer_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)
        instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
        set_by = _lifetime(instance)

        def fire() -> None:
            with self._lock:
                if self._alive(set_by):
                    instance.pending_events.append(helpers.new_timer_fired_event(action.id, fire_at))
                    self._enqueue_orchestration(instance.instance_id)

        wait = max(0.0, (fire_at - datetime.now(UTC)).total_seconds())
        self._alarms.at(wait - wait % self._grain if self._grain else wait, fire)

    def _process_complete_orchestration_action(
        self, instance: OrchestrationInstance, complete_action: pb.CompleteOrchestrationAction
    ) -> None:
        super()._process_complete_orchestration_action(instance, complete_action)
        if complete_action.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            _begin_generation(instance)

    # A child knows its parent, and its parent always receives its end, with the failure's details.
    def _process_create_sub_orchestration_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        super()._process_create_sub_orchestration_action(instance, action)
        child_id = action.createSubOrchestration.instanceId
        if self._parents.get(child_id) != _Parent(_lifetime(instance), action.id):
            return
        for event in self._instances[child_id].pending_events:
            if event.HasField("executionStarted"):
                event.executionStarted.parentInstance.CopyFrom(
                    pb.ParentInstanceInfo(
                        taskScheduledId=action.id,
                        name=wrappers_pb2.StringValue(value=instance.name),
                        orchestrationInstance=pb.OrchestrationInstance(instanceId=instance.instance_id),
                    )
                )

    def _watch_sub_orchestration(self, parent_instance_id: str, sub_instance_id: str, task_id: int) -> None:
        self._parents[sub_instance_id] = _Parent(_lifetime(self._instances[parent_instance_id]), task_id)

    def _notify_waiters(self, instance_id: str) -> None:
        super()._notify_waiters(instance_id)
        child = self._instances.get(instance_id)
        if child is None or not self._is_terminal_status(child.status):
            return
        parent = self._parents.pop(instance_id, None)
        if parent is None or not self._alive(parent.lifetime):
            return
        if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
            event = helpers.new_sub_orchestration_completed_event(parent.task_id, child.output)
        else:
            details = child.failure_details or pb.TaskFailureDetails(
                errorType="OrchestrationTerminated", errorMessage="The sub-orchestration was terminated."
            )
            event = pb.HistoryEvent(
                eventId=-1,
                timestamp=timestamp_pb2.Timestamp(),
                subOrchestrationInstanceFailed=pb.SubOrchestrationInstanceFailedEvent(
                    taskScheduledId=parent.task_id, failureDetails=details
                ),
            )
        parent.lifetime.instance.pending_events.append(event)
        self._enqueue_orchestration(parent.lifetime.instance.instance_id)

    def _alive(self, lifetime: Lifetime | None) -> bool:
        return (
            lifetime is not None
            and self._instances.get(lifetime.instance.instance_id) is lifetime.instance
            and _lifetime(lifetime.instance) == lifetime
            and not self._is_terminal_status(lifetime.instance.status)
        )


def _key(item: pb.WorkItem) -> str:
    if item.HasField("orchestratorRequest"):
        return f"o|{item.orchestratorRequest.instanceId}|{item.completionToken}"
    request = item.activityRequest
    return f"a|{request.orchestrationInstance.instanceId}|{request.taskId}|{item.completionToken}"


def _lifetime(instance: OrchestrationInstance) -> Lifetime:
    return Lifetime(instance, getattr(instance, "generation", 0))


def _begin_generation(instance: OrchestrationInstance) -> None:
    setattr(instance, "generation", getattr(instance, "generation", 0) + 1)  # noqa: B010


def _say_something(details: pb.TaskFailureDetails) -> None:
    """A failure without a message would count as success."""
    if not details.errorMessage:
        details.errorMessage = f"{details.errorType or 'The task'} gave no message."


def main() -> None:
    """Serves until standard input closes, which happens when the process that started it is gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--visibility", type=float, default=0.0, help="Seconds until a lost instance's work is redelivered."
    )
    parser.add_argument(
        "--grain", type=float, default=0.0, help="The granularity to which a timer's wait is rounded down, in seconds."
    )
    arguments = parser.parse_args()
    hub = TaskHub(arguments.visibility, arguments.grain)
    print(json.dumps({"address": hub.start()}), flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
