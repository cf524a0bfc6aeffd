"""A task hub with its own clock: Microsoft's executor runs the real orchestrators, and no real time passes.

Every turn replays the whole history through ``execute_orchestration_request``, as the Functions host does it, so a
turn that is not deterministic fails here too. Time jumps to the next due event. Events due at the same time happen in
the order in which they were scheduled; events that reach an instance at the same time make one turn.

Activities are delivered at least once. A fault makes an execution fail, lose its answer, happen twice, or take long.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from azure.durable_functions.worker import DurableFunctionsWorker
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf import timestamp_pb2

from shared.models.errors import ColdsiteError
from tests.replay.replay import todays_orchestrators

Mishap = Literal["raises", "exits", "answer_lost", "twice", "echo", "slow"]
"""Faults of an execution. ``raises``: before the effect; ``exits``: its worker process ends, before the effect;
``answer_lost``: after the effect, and the engine retries; ``twice``: redelivered at once, the second answer counts;
``echo``: the first answer counts, and the activity runs again when the queue redelivers it, since its worker died before
it could delete the message; ``slow``: everything is late."""

ECHO_AFTER = timedelta(minutes=1)
"""How long a queue hides a message that a worker has taken: host.json's ``workItemQueueVisibilityTimeout``."""
SLOW = timedelta(seconds=45)
TURN = timedelta(milliseconds=200)
"""The delay from a turn's time to the scheduling of its timers."""

Status = Literal["running", "completed", "failed"]


class BrokenError(Exception):
    """An unforeseen error of an activity."""


class Parent(NamedTuple):
    instance: Instance
    task_id: int


@dataclass(eq=False)
class Instance:
    """One orchestration. ``history`` was replayed already, ``news`` is for the next turn."""

    id: str
    name: str
    parent: Parent | None = None
    history: list[pb.HistoryEvent] = field(default_factory=list)
    news: list[pb.HistoryEvent] = field(default_factory=list)
    status: Status = "running"
    output: str | None = None
    failure: pb.TaskFailureDetails | None = None
    generation: int = 0
    turn_is_due: bool = False


class Engine:
    """``perform`` has an activity's effect and returns its result; ``duration`` says how long it takes."""

    def __init__(
        self, now: datetime, perform: Callable[[str, dict[str, Any]], Any], duration: Callable[[str], timedelta]
    ) -> None:
        self.now = now
        self.instances: dict[str, Instance] = {}
        self.turns = 0
        self.is_whole = True
        """False once a violation was found: later events would only hide it."""
        self._perform = perform
        self._duration = duration
        self._mishaps: dict[str, deque[Mishap]] = {}
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._worker = DurableFunctionsWorker()

    # Clients' calls

    def start(self, name: str, instance_id: str, data: dict[str, Any], parent: Parent | None = None) -> Instance:
        """Starts an orchestration. A running id is refused; an ended one is overwritten, which is Azure's default."""
        known = self.instances.get(instance_id)
        assert known is None or known.status != "running", f"{instance_id} is started while it runs"
        instance = self.instances[instance_id] = Instance(instance_id, name, parent)
        self._tell(instance, helpers.new_execution_started_event(name, instance_id, json.dumps(data)))
        return instance

    def send(self, instance_id: str, event: str, data: Any) -> None:
        """Raises an event. An unknown or ended instance does not receive it."""
        self._raise(instance_id, event, json.dumps(data))

    def state(self, instance_id: str) -> Literal["running", "ended", "unknown"]:
        instance = self.instances.get(instance_id)
        if instance is None:
            return "unknown"
        return "running" if instance.status == "running" else "ended"

    def lose(self, instance_id: str) -> None:
        """The hub loses an instance, as when its storage is replaced. Its children continue."""
        del self.instances[instance_id]

    def befall(self, activity: str, mishap: Mishap, times: int = 1) -> None:
        """Sets a fault for the next executions of an activity."""
        self._mishaps.setdefault(activity, deque()).extend([mishap] * times)

    def calm(self) -> None:
        """Removes all faults."""
        self._mishaps.clear()

    # Time

    def at(self, when: datetime, call: Callable[[], None]) -> None:
        heapq.heappush(self._due, (max(when, self.now), next(self._order), call))

    @property
    def next_due(self) -> datetime | None:
        return self._due[0][0] if self._due else None

    def advance(self, by: timedelta) -> None:
        """Advances the clock by this much, with everything that is due."""
        until = self.now + by
        while self._due and self._due[0][0] <= until:
            self.now, _, call = heapq.heappop(self._due)
            self.is_whole = False
            call()
            self.is_whole = True
        self.now = until

    # Turns

    def _tell(self, instance: Instance, event: pb.HistoryEvent) -> None:
        """An event for an instance; the next turn takes all pending events."""
        if instance.status != "running":
            return
        event.timestamp.CopyFrom(_stamp(self.now))
        instance.news.append(event)
        if not instance.turn_is_due:
            instance.turn_is_due = True
            self.at(self.now, lambda: self._turn(instance))

    def _turn(self, instance: Instance) -> None:
        if self.instances.get(instance.id) is not instance:
            return
        instance.turn_is_due = False
        self.turns += 1
        news = [helpers.new_orchestrator_started_event(self.now), *instance.news]
        request = pb.OrchestratorRequest(instanceId=instance.id, pastEvents=instance.history, newEvents=news)
        payload = base64.b64encode(request.SerializeToString())
        function = todays_orchestrators()[instance.name]
        answer = self._worker.execute_orchestration_request(function, payload.decode())
        response = pb.OrchestratorResponse.FromString(base64.b64decode(answer))
        instance.history += news
        instance.news = []
        for action in response.actions:
            self._act(instance, action)
        instance.history.append(helpers.new_orchestrator_completed_event())

    def _act(self, instance: Instance, action: pb.OrchestratorAction) -> None:
        kind = action.WhichOneof("orchestratorActionType")
        match kind:
            case "scheduleTask":
                ordered = action.scheduleTask
                instance.history.append(helpers.new_task_scheduled_event(action.id, ordered.name, ordered.input.value))
                self._give(instance, action.id, ordered.name, ordered.input.value)
            case "createTimer":
                fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)
                instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
                fired = helpers.new_timer_fired_event(action.id, fire_at)
                self.at(
                    self._when_a_timer_fires(fire_at),
                    self._for_this_execution(instance, lambda: self._tell(instance, fired)),
                )
            case "createSubOrchestration":
                child = action.createSubOrchestration
                instance.history.append(
                    helpers.new_sub_orchestration_created_event(
                        action.id, child.name, child.instanceId, child.input.value
                    )
                )
                self.start(child.name, child.instanceId, json.loads(child.input.value), Parent(instance, action.id))
            case "sendEvent":
                sent = action.sendEvent
                target = sent.instance.instanceId
                instance.history.append(
                    helpers.new_event_sent_event(action.id, target, sent.data.value, name=sent.name)
                )
                self._raise(target, sent.name, sent.data.value)
            case "completeOrchestration":
                self._complete(instance, action.completeOrchestration)
            case _:
                raise AssertionError(f"The model does not know the action {kind}.")

    def _when_a_timer_fires(self, fire_at: datetime) -> datetime:
        """A queue hides a message for whole seconds, rounded down: a timer fires up to one second early."""
        ordered = self.now + TURN
        wait = max(timedelta(0), fire_at - ordered)
        return ordered + wait - wait % timedelta(seconds=1)

    def _raise(self, target: str, event: str, data: str) -> None:
        if (instance := self.instances.get(target)) is not None:
            self._tell(instance, helpers.new_event_raised_event(event, data))

    def _complete(self, instance: Instance, how: pb.CompleteOrchestrationAction) -> None:
        if how.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            arrived, instance.history, instance.news = instance.news, [], []
            instance.generation += 1
            started = helpers.new_execution_started_event(instance.name, instance.id, how.result.value)
            for event in [started, *how.carryoverEvents, *arrived]:
                self._tell(instance, event)
            return
        if how.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED:
            instance.status, instance.output = "completed", how.result.value
        else:
            instance.status, instance.failure = "failed", how.failureDetails
        if instance.parent is not None:
            parent, task_id = instance.parent
            self._tell(parent, _end_of_child(instance, task_id))

    def _for_this_execution(self, instance: Instance, call: Callable[[], None]) -> Callable[[], None]:
        """Results of orders from before an instance ended or continued as new do not reach it."""
        generation = instance.generation

        def only_then() -> None:
            if instance.generation == generation and self.instances.get(instance.id) is instance:
                call()

        return only_then

    # Activities

    def _give(self, instance: Instance, task_id: int, name: str, order: str) -> None:
        waiting = self._mishaps.get(name)
        mishap = waiting.popleft() if waiting else None
        first = self.now + self._duration(name) + (SLOW if mishap == "slow" else timedelta(0))
        outcome: list[pb.HistoryEvent] = []

        def act() -> None:
            outcome[:] = [self._execute(task_id, name, json.loads(order))]

        def fail() -> None:
            outcome[:] = [_failed(task_id, "BrokenError", f"{name} broke")]

        def exit_process() -> None:
            said = f"Exception while executing function: Functions.{name}"
            outcome[:] = [_failed(task_id, "Microsoft.Azure.WebJobs.Host.FunctionInvocationException", said)]

        tell = self._for_this_execution(instance, lambda: self._tell(instance, outcome[0]))
        steps: dict[Mishap | None, Sequence[Callable[[], None]]] = {
            "raises": [fail],
            "exits": [exit_process],
            "answer_lost": [act, fail],
        }
        for step in steps.get(mishap, [act]):
            self.at(first, step)
        if mishap == "twice":
            first += self._duration(name)
            self.at(first, act)
        self.at(first, tell)
        if mishap == "echo":
            self.at(first + ECHO_AFTER, act)

    def _execute(self, task_id: int, name: str, order: dict[str, Any]) -> pb.HistoryEvent:
        """Azure passes an exception on as only the class name and the first line of the message."""
        try:
            result = self._perform(name, order)
        except (ColdsiteError, BrokenError) as error:
            return _failed(task_id, type(error).__name__, (str(error) or "no message").splitlines()[0])
        return helpers.new_task_completed_event(task_id, json.dumps(result))


def _stamp(moment: datetime) -> timestamp_pb2.Timestamp:
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _failed(task_id: int, kind: str, message: str) -> pb.HistoryEvent:
    details = pb.TaskFailureDetails(errorType=kind, errorMessage=message)
    failed = pb.TaskFailedEvent(taskScheduledId=task_id, failureDetails=details)
    return pb.HistoryEvent(eventId=-1, taskFailed=failed)


def _end_of_child(child: Instance, task_id: int) -> pb.HistoryEvent:
    if child.status == "completed":
        return helpers.new_sub_orchestration_completed_event(task_id, child.output)
    failed = pb.SubOrchestrationInstanceFailedEvent(taskScheduledId=task_id, failureDetails=child.failure)
    return pb.HistoryEvent(eventId=-1, subOrchestrationInstanceFailed=failed)
