"""Long-running operations: accepted at once, completed later, polled at their own address."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab.clock import Clock

FOREVER = float("inf")


@dataclass
class Operation:
    """One operation, with simulated start and end. ``end`` is None while it runs."""

    name: str
    kind: str
    resource: str
    start: float
    expected_end: float
    end: float | None = None
    status: str = "InProgress"
    error: dict[str, str] | None = None
    output: Any = None
    polls: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def finish(self, now: float, error: dict[str, str] | None = None, output: Any = None) -> None:
        self.end, self.error, self.output = now, error, output
        self.status = "Failed" if error else "Succeeded"
        self.done.set()


class Operations:
    """All operations since the lab began: the bench reads its critical path from these, never from the app."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self.all: dict[str, Operation] = {}

    def begin(
        self,
        kind: str,
        resource: str,
        duration: float,
        complete: Callable[[], Any] | None = None,
        error: dict[str, str] | None = None,
    ) -> Operation:
        """Starts an operation. At its end ``complete`` runs and its return value is the operation's output."""
        now = self._clock.now
        operation = Operation(str(uuid.uuid4()), kind, resource, now, now + duration)
        self.all[operation.name] = operation

        async def run() -> None:
            if duration == FOREVER:
                return
            await self._clock.sleep(duration)
            output = complete() if complete else None
            operation.finish(self._clock.now, error, output)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return operation

    @property
    def running(self) -> bool:
        """Whether any operation is still running."""
        return any(o.end is None and o.expected_end != FOREVER for o in self.all.values())

    def body(self, operation: Operation) -> dict[str, Any]:
        """The body of ``Azure-AsyncOperation``.

        Source: Azure/azure-resource-manager-rpc:v1.0/async-api-reference.md
        """
        body: dict[str, Any] = {
            "startTime": self._clock.wall(operation.start).isoformat(),
            "status": operation.status,
            "name": operation.name,
        }
        if operation.end is not None:
            body["endTime"] = self._clock.wall(operation.end).isoformat()
        if operation.error:
            body["error"] = operation.error
        if operation.output is not None:
            body["properties"] = {"output": operation.output}
        return body
