"""The durable client as ``shared.services.engine.Engine`` describes it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

import azure.durable_functions as df
import grpc
import grpc.aio
from durabletask.client import OrchestrationStatus

from shared.models.errors import StorageUnavailableError

_ENDED = [OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED]
_MOVING = {OrchestrationStatus.RUNNING, OrchestrationStatus.PENDING, OrchestrationStatus.SUSPENDED}
_HEARS_NOTHING = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION)
"""How the engine answers an event for an orchestration that is unknown, and for one that has ended.

Source: Azure/azure-functions-durable-extension, TaskHubGrpcServer.RaiseEvent, extension 3.19.0.
"""


class DurableEngine:
    """Starts, reads and signals orchestrations. Raises ``StorageUnavailableError`` when the engine does not answer."""

    def __init__(self, client: df.DurableFunctionsClient) -> None:
        self._client = client

    async def start(self, orchestrator: str, instance_id: str, data: dict[str, Any]) -> None:
        try:
            await self._client.schedule_new_orchestration(orchestrator, input=data, instance_id=instance_id)
        except (grpc.RpcError, grpc.aio.UsageError) as error:
            raise StorageUnavailableError("The durable engine did not accept the run.") from error

    async def run(self, orchestrator: str, instance_id: str, timeout: float) -> Any:
        """Starts an orchestration, waits for it to end and returns its result. ``timeout`` is in seconds."""
        await self.start(orchestrator, instance_id, {})
        try:
            ended = await self._client.wait_for_orchestration_completion(instance_id, timeout=timeout)
        except TimeoutError as error:
            message = f"The durable engine accepted an orchestration and did not complete it within {timeout:g} s."
            raise StorageUnavailableError(f"{message} A failover could not run. See the app's log.") from error
        except (grpc.RpcError, grpc.aio.UsageError) as error:
            raise StorageUnavailableError("The durable engine does not answer.") from error
        if ended is None or ended.runtime_status is not OrchestrationStatus.COMPLETED:
            raise StorageUnavailableError("The durable engine did not complete an orchestration. See the app's log.")
        return json.loads(ended.serialized_output or "null")

    async def state(self, instance_id: str) -> Literal["running", "ended", "unknown"]:
        try:
            found = await self._client.get_orchestration_state(instance_id, fetch_payloads=False)
        except (grpc.RpcError, grpc.aio.UsageError) as error:
            raise StorageUnavailableError("The durable engine does not answer.") from error
        if found is None:
            return "unknown"
        return "running" if found.runtime_status in _MOVING else "ended"

    async def purge_ended_before(self, moment: datetime) -> None:
        """Removes the engine's own record of orchestrations that began before ``moment`` and have ended."""
        try:
            await self._client.purge_orchestrations_by(created_time_to=moment, runtime_status=_ENDED, recursive=False)
        except (grpc.RpcError, grpc.aio.UsageError) as error:
            raise StorageUnavailableError("The durable engine does not answer.") from error

    async def send(self, instance_id: str, event: str, data: dict[str, Any]) -> None:
        """Sends an event to an orchestration. An unknown or ended one does not receive it, which is no error."""
        try:
            await self._client.raise_orchestration_event(instance_id, event, data=data)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _HEARS_NOTHING:
                raise StorageUnavailableError("The durable engine does not answer.") from error
