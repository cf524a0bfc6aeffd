"""The durable engine of a lab: the hub in memory, or a program that runs Microsoft's own storage provider.

A program says ``{"address": "127.0.0.1:PORT", "hub": NAME}`` on its first line, speaks the durable workers' gRPC
service there, and serves until its input closes. Two of it run on one storage: one dispatches the durable functions,
the other only answers the clients of HTTP and timer functions, which have instances of their own on Flex Consumption.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lab.processes import ChildProcess
from lab.storage import EngineStorage

PROGRAM = "COLDSITE_LAB_ENGINE"
"""The environment variable that names a program for every command and test that starts a lab."""
MEMORY = "memory"


class EngineProcess(Protocol):
    """``address`` is where work items are taken, ``clients`` where durable clients ask; the same in memory."""

    name: str
    address: str
    clients: str
    hub: str

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    @property
    def process_ids(self) -> list[int]: ...


@dataclass(frozen=True)
class Provider:
    """host.json's storage provider in simulated seconds, divided by the lab's speed."""

    partitions: int
    poll: float
    visibility: float
    grain: float
    """The granularity to which a timer's wait is rounded down: a queue hides a message for whole seconds."""

    @classmethod
    def of(cls, durable: dict[str, Any], speed: float) -> Provider:
        """Reads ``extensions.durableTask``; what it does not say is Azure's default."""
        provider = durable.get("storageProvider", {})
        poll = _seconds(provider.get("maxQueuePollingInterval", "00:00:30"))
        visibility = _seconds(provider.get("controlQueueVisibilityTimeout", "00:05:00"))
        return cls(int(provider.get("partitionCount", 4)), poll / speed, visibility / speed, 1.0 / speed)


def _seconds(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600.0 + int(minutes) * 60.0 + float(seconds)


class MemoryEngine:
    """The hub in memory, as a process of its own."""

    name = MEMORY

    def __init__(self, hub: str, provider: Provider, folder: Path) -> None:
        self.hub = hub
        self._options = [f"--visibility={provider.visibility:.3f}", f"--grain={provider.grain:.3f}"]
        self._log = folder / "hub.log"
        self._process: ChildProcess | None = None

    async def start(self) -> None:
        self._process = await ChildProcess.start([sys.executable, "-m", "lab.host.hub", *self._options], self._log)
        self.address = self.clients = str(self._process.hello["address"])

    async def stop(self) -> None:
        if self._process:
            await self._process.stop()

    @property
    def process_ids(self) -> list[int]:
        return [self._process.pid] if self._process else []


class ProgramEngine:
    """A program over Azurite's blobs, queues and tables.

    A stream that ends is an instance that was lost: while only a process is gone, the host keeps its stream.
    """

    def __init__(self, program: str, hub: str, provider: Provider, folder: Path) -> None:
        self.name = Path(program).name
        self.hub = hub
        self._program = program
        self._log = folder / "engine.log"
        self._storage = EngineStorage(folder)
        self._settings = {
            "ENGINE_HUB": hub,
            "ENGINE_PARTITIONS": str(provider.partitions),
            "ENGINE_POLL": f"{provider.poll:.3f}",
            "ENGINE_VISIBILITY": f"{max(provider.visibility, 1.0):.3f}",
            "ENGINE_TIMERS": "exact",
            "ENGINE_LOSES": "instances",
        }
        self._processes: list[ChildProcess] = []

    async def start(self) -> None:
        await self._storage.start()
        settings = dict(os.environ) | self._settings | {"ENGINE_STORAGE": self._storage.connection_string}
        for more in ({}, {"ENGINE_DISPATCH": "false"}):
            self._processes.append(await ChildProcess.start([self._program], self._log, settings | more))
        self.address, self.clients = (str(process.hello["address"]) for process in self._processes)

    async def stop(self) -> None:
        for process in self._processes:
            await process.stop()
        await self._storage.stop()

    @property
    def process_ids(self) -> list[int]:
        return [*(process.pid for process in self._processes), *self._storage.process_ids]


def chosen(program: str | None, durable: dict[str, Any], speed: float, folder: Path) -> EngineProcess:
    """The requested engine: by option, by environment, or else the one in memory."""
    hub = str(durable.get("hubName", "TestHubName"))
    provider = Provider.of(durable, speed)
    wanted = program or os.environ.get(PROGRAM)
    if not wanted or wanted == MEMORY:
        return MemoryEngine(hub, provider, folder)
    return ProgramEngine(wanted, hub, provider, folder)
