"""Replays a stored history against an orchestrator and reports the first difference.

The engine gets every turn as Azure would deliver it: with everything before it as the past. The orchestrator's
orders are compared with the recorded ones. The engine itself compares only the number, kind and name of an order
with its history, so it would not see a changed input. Neither sees a changed retry policy until an activity fails.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from azure.durable_functions.worker import DurableFunctionsWorker
from durabletask.internal import orchestrator_service_pb2 as pb

from tests.replay.execution import Execution
from tests.replay.stored import History

type Orchestrator = Callable[..., Any]
type Order = dict[str, Any]

ADVICE = """\
Runs that started before a deployment resume after it, on the new code with their old history. If the new code differs
from this history, it would differ from theirs: the engine fails a run whose orders differ from its history, in the
middle of a recovery, and a changed input takes effect during the run. So:
- If the change was not intended, revert it.
- If it was, and runs may be in flight at the deployment: keep the old orchestrator under its name for them, and
  register the changed one under a new name for new runs. Remove the old one, and its histories, when its last run has
  ended.
- If no run can be in flight (nothing is deployed yet, or you deploy while every plan is at rest): record the histories
  again with `python -m tests.replay.record`, and note it in the changelog."""


class Parting(NamedTuple):
    """The first turn of a history in which the current orchestrator differs; ``differences`` are lines."""

    history: History
    turn: int
    differences: list[str]

    def __str__(self) -> str:
        where = f"{self.history.instance} ({self.history.orchestrator}), turn {self.turn} of {len(self.history.turns)}"
        return "\n".join([where, *(f"  {line}" for line in self.differences)])


@functools.cache
def app_functions() -> dict[str, Any]:
    """Every function of ``function_app.py`` by name. The app answers this question only once."""
    from function_app import app

    return {function.get_function_name(): function for function in app.get_functions()}


@functools.cache
def todays_orchestrators() -> dict[str, Orchestrator]:
    """Every orchestrator of ``function_app.py`` by name, but for the engine's own."""
    return {
        name: function.get_user_function().orchestrator_function
        for name, function in app_functions().items()
        if function.get_trigger().type == "orchestrationTrigger" and not name.startswith("BuiltIn__")
    }


def replay(history: History, orchestrator: Orchestrator | None) -> Parting | None:
    """Replays every turn; None when the current code gives exactly the recorded orders."""
    if orchestrator is None:
        return Parting(history, 1, [f"the app has no orchestrator named {history.orchestrator} any more"])
    execution = Execution(DurableFunctionsWorker(), history.instance, history.orchestrator, orchestrator)
    past: list[pb.HistoryEvent] = []
    for number, turn in enumerate(history.turns, 1):
        actions = execution.turn(past, turn.heard)
        then, now = [_recorded(event) for event in turn.ordered], [_ordered(action) for action in actions]
        if differences := list(_compare_all(then, now)):
            return Parting(history, number, differences)
        past += turn.events
    return None


# Orders, recorded and current


def _recorded(event: pb.HistoryEvent) -> Order:
    kind = event.WhichOneof("eventType")
    match kind:
        case "taskScheduled":
            scheduled = event.taskScheduled
            return _order("activity", event.eventId, name=scheduled.name, input=_value(scheduled, "input"))
        case "timerCreated":
            return _order("timer", event.eventId, fireAt=event.timerCreated.fireAt.ToJsonString())
        case "subOrchestrationInstanceCreated":
            child = event.subOrchestrationInstanceCreated
            more = {"instance": child.instanceId, "input": _value(child, "input")}
            return _order("child", event.eventId, name=child.name, **more)
        case "eventSent":
            sent = event.eventSent
            return _order("event", event.eventId, name=sent.name, to=sent.instanceId, input=_value(sent, "input"))
        case "executionCompleted":
            return _end(event.executionCompleted)
    raise ValueError(f"{kind} is not the trace of an order.")


def _ordered(action: pb.OrchestratorAction) -> Order:
    kind = action.WhichOneof("orchestratorActionType")
    match kind:
        case "scheduleTask":
            task = action.scheduleTask
            return _order("activity", action.id, name=task.name, input=_value(task, "input"))
        case "createTimer":
            return _order("timer", action.id, fireAt=action.createTimer.fireAt.ToJsonString())
        case "createSubOrchestration":
            child = action.createSubOrchestration
            more = {"instance": child.instanceId, "input": _value(child, "input")}
            return _order("child", action.id, name=child.name, **more)
        case "sendEvent":
            sent = action.sendEvent
            more = {"to": sent.instance.instanceId, "input": _value(sent, "data")}
            return _order("event", action.id, name=sent.name, **more)
        case "completeOrchestration":
            return _end(action.completeOrchestration)
    return _order(str(kind), action.id)


def _order(kind: str, number: int | None, **details: Any) -> Order:
    return {"kind": kind, "number": number, **details}


def _end(end: pb.ExecutionCompletedEvent | pb.CompleteOrchestrationAction) -> Order:
    """The engine does not keep the number of the last order."""
    status = pb.OrchestrationStatus.Name(end.orchestrationStatus).removeprefix("ORCHESTRATION_STATUS_").lower()
    failure = (
        f"{end.failureDetails.errorType}: {end.failureDetails.errorMessage}" if _has(end, "failureDetails") else None
    )
    return _order("end", None, status=status, result=_value(end, "result"), failure=failure)


def _has(message: Any, field: str) -> bool:
    return bool(message.HasField(field))


def _value(message: Any, field: str) -> Any:
    return json.loads(getattr(message, field).value) if _has(message, field) else None


# Comparing


def _compare_all(then: list[Order], now: list[Order]) -> Iterator[str]:
    for index in range(max(len(then), len(now))):
        if index >= len(now):
            yield f"then: {_spoken(then[index])}\n  now:  nothing"
        elif index >= len(then):
            yield f"then: nothing\n  now:  {_spoken(now[index])}"
        elif _text(then[index]) != _text(now[index]):
            yield f"then: {_spoken(then[index])}\n  now:  {_spoken(now[index])}"
            if _head(then[index]) == _head(now[index]):
                yield from _compare(then[index], now[index], "")


def _compare(then: Any, now: Any, path: str) -> Iterator[str]:
    """One line for each leaf that differs."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in [*then, *(key for key in now if key not in then)]:
            place = f"{path}.{key}" if path else key
            if key not in now:
                yield f"  {place}: was {_short(then[key])}, is gone"
            elif key not in then:
                yield f"  {place}: was not there, is {_short(now[key])}"
            else:
                yield from _compare(then[key], now[key], place)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, (before, after) in enumerate(zip(then, now, strict=True)):
            yield from _compare(before, after, f"{path}.{index}")
    elif _text(then) != _text(now):
        yield f"  {path}: was {_short(then)}, is {_short(now)}"


def _head(order: Order) -> tuple[Any, ...]:
    return order["kind"], order["number"], order.get("name")


def _spoken(order: Order) -> str:
    words = [order["kind"], order["number"], order.get("name"), order.get("instance") or order.get("to")]
    words += [order.get("fireAt"), order.get("status"), order.get("failure")]
    return " ".join(str(word) for word in words if word is not None)


def _text(value: Any) -> str:
    """Canonical JSON: unlike Python's ``==`` it distinguishes 1, 1.0 and true."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"
