"""Long-running operations: accepted at once, completed later, polled at their own address."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab.clock import Clock

FOREVER = float("inf")

_RETRY_AFTER = {
    "machine": (10.0, 50.0),
    "delete virtualmachines": (10.0, 30.0),
    "disk": (2.0, 10.0),
    "snapshot": (2.0, 10.0),
}
"""The Retry-After of the answer to an order, and of its first poll while it runs; later polls, Run Command and the
deletion of disks and snapshots have none. Simulated seconds.

Source: recordings of Azure/azure-sdk-for-python, sdk/compute/azure-mgmt-compute/tests/recordings, test_compute_vm.json
(2022-11) and test_compute_shot.json (2023-01); another machine's first poll said 70 (Azure/azure-powershell,
VirtualMachineRunCommandTests/TestVirtualMachineSetRunCommand.json, 2019-03). The recordings of Azure/azure-cli have
none because its test kit removes the header.
"""


@dataclass
class ArmOperation:
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
    retry_after: tuple[float, float] | None = None
    """What the answer to the order and the first poll say of the next one; simulated seconds."""
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
        self.all: dict[str, ArmOperation] = {}

    def begin(
        self,
        kind: str,
        resource: str,
        duration: float,
        complete: Callable[[], Any] | None = None,
        error: dict[str, str] | None = None,
    ) -> ArmOperation:
        """Starts an operation. At its end ``complete`` runs and its return value is the operation's output."""
        now = self._clock.now
        name, advice = str(uuid.uuid4()), _RETRY_AFTER.get(kind)
        operation = ArmOperation(name, kind, resource, now, now + duration, retry_after=advice)
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

    def body(self, operation: ArmOperation) -> dict[str, Any]:
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
