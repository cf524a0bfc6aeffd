"""A task hub with a clock of its own: Microsoft's executor turns the real orchestrators, and no time passes.

Time jumps from one thing that is due to the next. What is due at the same time happens in the order in which it was
ordered; events that reach an instance at the same time make one turn.

Activities are given at least once. A fault makes an execution fail, lose its answer, happen twice, or take long.
"""

from __future__ import annotations

import heapq
import itertools
import json
from abc import ABC, abstractmethod
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
from tests.replay.execution import Execution
from tests.replay.replay import todays_orchestrators

Mishap = Literal["raises", "exits", "answer_lost", "twice", "echo", "slow"]
"""What may befall an execution. ``raises``: before the effect; ``exits``: its worker process, before it;
``answer_lost``: after it, and the engine tries again; ``twice``: given again at once, the second answer counts;
``echo``: the first answer counts, and it is done once more when the queue gives it again, since its worker died before
it could say that it need not; ``slow``: everything comes late."""

ECHO_AFTER = timedelta(minutes=1)
"""How long a queue hides a message that was taken: host.json's ``workItemQueueVisibilityTimeout``."""
SLOW = timedelta(seconds=45)
TURN = timedelta(milliseconds=200)
"""From a turn's time to when its timers are ordered."""

Status = Literal["running", "completed", "failed"]


class BrokenError(Exception):
    """An unexpected error of an activity."""


class Parent(NamedTuple):
    instance: Instance
    task_id: int


@dataclass(eq=False)
class Instance:
    """One orchestration. ``history`` is what was replayed already, ``news`` what the next turn brings."""

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
    execution: Execution | None = None


class Hub(ABC):
    """Orchestrations and their turns. How time passes and how activities are performed is left to others."""

    def __init__(self) -> None:
        self.instances: dict[str, Instance] = {}
        self.turns = 0
        self._worker = DurableFunctionsWorker()

    @abstractmethod
    def clock(self) -> datetime:
        """The hub's time."""

    @abstractmethod
    def at(self, when: datetime, call: Callable[[], None]) -> None:
        """Calls ``call`` at a time, or now if that is over."""

    @abstractmethod
    def _give(self, instance: Instance, task_id: int, name: str, order: str) -> None:
        """Performs an activity and tells the instance what it came to."""

    # What clients do

    def start(self, name: str, instance_id: str, data: dict[str, Any], parent: Parent | None = None) -> Instance:
        """Starts an orchestration. An id that runs is refused; one that ended is overwritten, which is Azure's default."""
        known = self.instances.get(instance_id)
        assert known is None or known.status != "running", f"{instance_id} is started while it runs"
        instance = self.instances[instance_id] = Instance(instance_id, name, parent)
        self._tell(instance, helpers.new_execution_started_event(name, instance_id, json.dumps(data)))
        return instance

    def send(self, instance_id: str, event: str, data: Any) -> None:
        """Raises an event. An instance that is unknown or over hears nothing."""
        self._raise(instance_id, event, json.dumps(data))

    def state(self, instance_id: str) -> Literal["running", "ended", "unknown"]:
        instance = self.instances.get(instance_id)
        if instance is None:
            return "unknown"
        return "running" if instance.status == "running" else "ended"

    def lose(self, instance_id: str) -> None:
        """The hub forgets an instance, as when its storage is replaced. Its children go on."""
        del self.instances[instance_id]

    # Turns

    def _tell(self, instance: Instance, event: pb.HistoryEvent) -> None:
        """Something new for an instance; a turn takes up everything that is new by then."""
        if instance.status != "running":
            return
        event.timestamp.CopyFrom(_stamp(self.clock()))
        instance.news.append(event)
        if not instance.turn_is_due:
            instance.turn_is_due = True
            self.at(self.clock(), lambda: self._turn(instance))

    def _turn(self, instance: Instance) -> None:
        if self.instances.get(instance.id) is not instance:
            return
        instance.turn_is_due = False
        self.turns += 1
        news = [helpers.new_orchestrator_started_event(self.clock()), *instance.news]
        if instance.execution is None:
            function = todays_orchestrators()[instance.name]
            instance.execution = Execution(self._worker, instance.id, instance.name, function)
        actions = instance.execution.turn(instance.history, news)
        instance.history += news
        instance.news = []
        for action in actions:
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
                ended = action.completeOrchestration
                instance.history.append(
                    pb.HistoryEvent(
                        eventId=action.id,
                        executionCompleted=pb.ExecutionCompletedEvent(
                            orchestrationStatus=ended.orchestrationStatus,
                            result=ended.result,
                            failureDetails=ended.failureDetails if ended.HasField("failureDetails") else None,
                        ),
                    )
                )
                self._complete(instance, action.completeOrchestration)
            case _:
                raise AssertionError(f"The model does not know the action {kind}.")

    def _when_a_timer_fires(self, fire_at: datetime) -> datetime:
        """A queue hides a message for whole seconds, rounded down: a timer is up to one second early."""
        ordered = self.clock() + TURN
        wait = max(timedelta(0), fire_at - ordered)
        return ordered + wait - wait % timedelta(seconds=1)

    def _raise(self, target: str, event: str, data: str) -> None:
        if (instance := self.instances.get(target)) is not None:
            self._tell(instance, helpers.new_event_raised_event(event, data))

    def _complete(self, instance: Instance, how: pb.CompleteOrchestrationAction) -> None:
        if how.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            arrived, instance.history, instance.news = instance.news, [], []
            instance.generation += 1
            instance.execution = None
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
        """What was ordered before an instance ended or continued as new does not reach it afterwards."""
        generation = instance.generation

        def only_then() -> None:
            if instance.generation == generation and self.instances.get(instance.id) is instance:
                call()

        return only_then


class Engine(Hub):
    """A hub with a clock of its own. ``perform`` has an activity's effect and returns its result; ``duration`` says how
    long it takes.
    """

    def __init__(
        self, now: datetime, perform: Callable[[str, dict[str, Any]], Any], duration: Callable[[str], timedelta]
    ) -> None:
        super().__init__()
        self.now = now
        self.is_whole = True
        """False once something was noticed that must not be: what follows would only hide it."""
        self._perform = perform
        self._duration = duration
        self._mishaps: dict[str, deque[Mishap]] = {}
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def clock(self) -> datetime:
        return self.now

    def befall(self, activity: str, mishap: Mishap, times: int = 1) -> None:
        """Lets a mishap befall the next executions of an activity."""
        self._mishaps.setdefault(activity, deque()).extend([mishap] * times)

    def calm(self) -> None:
        """No further mishaps."""
        self._mishaps.clear()

    def at(self, when: datetime, call: Callable[[], None]) -> None:
        heapq.heappush(self._due, (max(when, self.now), next(self._order), call))

    @property
    def next_due(self) -> datetime | None:
        return self._due[0][0] if self._due else None

    def advance(self, by: timedelta) -> None:
        """Lets this much time pass, and everything happen that is due in it."""
        until = self.now + by
        while self._due and self._due[0][0] <= until:
            self.now, _, call = heapq.heappop(self._due)
            self.is_whole = False
            call()
            self.is_whole = True
        self.now = until

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
            message = f"Exception while executing function: Functions.{name}"
            outcome[:] = [_failed(task_id, "Microsoft.Azure.WebJobs.Host.FunctionInvocationException", message)]

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
        """Azure passes on an exception as the bare class name and the first line of the message, nothing more."""
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
