"""The durable engine as the services see it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Protocol


class Engine(Protocol):
    """The services' calls to the durable engine."""

    async def start(self, orchestrator: str, instance_id: str, data: dict[str, Any]) -> None: ...

    async def state(self, instance_id: str) -> Literal["running", "ended", "unknown"]: ...

    async def send(self, instance_id: str, event: str, data: dict[str, Any]) -> None: ...

    async def purge_ended_before(self, moment: datetime) -> None: ...
