"""Stored histories: how the engine's events are kept as text, turn by turn, and read back.

A turn is what one call of an orchestrator receives (results, timers that fired, events) and its orders. JSON of the
engine (inputs, results, payloads) is kept as JSON, one event a line, so that a file is readable. Its
keys keep their order: an orchestrator iterates over a mapping in the order of its history.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf import json_format

FOLDER = Path(__file__).parent / "histories"
ORDERS = {"taskScheduled", "timerCreated", "subOrchestrationInstanceCreated", "eventSent", "executionCompleted"}
"""The events that record an orchestrator's own orders; it receives every other kind."""
_JSON = ("input", "result")


@dataclass
class Turn:
    """``heard`` comes from outside, ``ordered`` from the orchestrator."""

    heard: list[pb.HistoryEvent]
    ordered: list[pb.HistoryEvent]

    @property
    def events(self) -> list[pb.HistoryEvent]:
        """The turn as the engine keeps it and shows it to every later one."""
        return [*self.heard, *self.ordered, helpers.new_orchestrator_completed_event()]


@dataclass
class History:
    """One orchestration from its start to its end."""

    instance: str
    orchestrator: str
    turns: list[Turn]


def split(instance: str, events: Iterable[pb.HistoryEvent]) -> History:
    """The history of an ended instance as turns. Raises ``ValueError`` when it has no beginning or no end."""
    turns: list[Turn] = []
    orchestrator = ""
    for event in events:
        kind = _kind(event)
        if kind == "orchestratorStarted":
            turns.append(Turn([], []))
        if kind == "executionStarted":
            orchestrator = event.executionStarted.name
        if kind != "orchestratorCompleted":
            (turns[-1].ordered if kind in ORDERS else turns[-1].heard).append(event)
    if not orchestrator or not any(e.HasField("executionCompleted") for e in turns[-1].ordered):
        raise ValueError(f"{instance} has no whole history: it begins late or did not end.")
    return History(instance, orchestrator, turns)


def as_text(story: str, histories: list[History]) -> str:
    """The text of one file. Equal histories give equal text."""
    parts = []
    for history in histories:
        turns = ",\n".join(
            f'{{"heard": [{_lines(turn.heard)}],\n "ordered": [{_lines(turn.ordered)}]}}' for turn in history.turns
        )
        head = f'"instance": {json.dumps(history.instance)}, "orchestrator": {json.dumps(history.orchestrator)}'
        parts.append(f'{{{head}, "turns": [\n{turns}\n]}}')
    return f'{{"story": {json.dumps(story)}, "histories": [\n' + ",\n".join(parts) + "\n]}\n"


def _lines(events: list[pb.HistoryEvent]) -> str:
    return ",\n  ".join(json.dumps(_plain(event), ensure_ascii=False) for event in events)


def _plain(event: pb.HistoryEvent) -> dict[str, Any]:
    """Only the start of a turn needs its time: it is the orchestrator's clock."""
    data: dict[str, Any] = json_format.MessageToDict(event)
    if not event.HasField("orchestratorStarted"):
        data.pop("timestamp", None)
    body = data[_kind(event)]
    return data | {_kind(event): {k: json.loads(v) if k in _JSON else v for k, v in body.items()}}


def _kind(event: pb.HistoryEvent) -> str:
    return str(event.WhichOneof("eventType"))


def read(path: Path) -> list[History]:
    """Every history of one file."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return [
        History(
            history["instance"],
            history["orchestrator"],
            [Turn(_events(turn["heard"]), _events(turn["ordered"])) for turn in history["turns"]],
        )
        for history in data["histories"]
    ]


def _events(rows: list[dict[str, Any]]) -> list[pb.HistoryEvent]:
    return [json_format.ParseDict(_engine(row), pb.HistoryEvent()) for row in rows]


def _engine(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {k: json.dumps(v) if k in _JSON else v for k, v in value.items()} if isinstance(value, dict) else value
        for key, value in row.items()
    }
