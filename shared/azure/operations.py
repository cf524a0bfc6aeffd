"""Long-running operations of Azure Resource Manager: started without waiting, polled until they are done."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest

from shared.azure import clients
from shared.models.operations import Operation, OperationState, Refusal, Refused, Started
from shared.models.resource_ids import take_apart
from shared.models.steps import Order
from shared.policy.azure_errors import MAY_BE_UP, classify


def refusal_of(error: HttpResponseError) -> Refusal:
    """Azure's error as data: its code and message reach the decision."""
    code, message = getattr(error.error, "code", None), getattr(error.error, "message", None)
    headers = getattr(error.response, "headers", None) or {}
    header = headers.get("Retry-After")
    wait = float(header) if header and header.replace(".", "", 1).isdigit() else None
    return classify(error.status_code or 0, code or "", message or error.message or "no message", wait)


async def refusal_or_none(call: Awaitable[Any]) -> Refusal | None:
    """Azure's refusal (any 4xx) of a call, as data. A missing answer, and any 5xx, is raised."""
    try:
        await call
    except HttpResponseError as error:
        if not error.status_code or error.status_code >= 500:
            raise
        return refusal_of(error)
    return None


async def start_operation(resource: str, put: Callable[[Any], Awaitable[Any]]) -> Started:
    """Sends one PUT or POST and keeps the address of its operation.

    412 means a concurrent create (IfMissing): the resource exists, and is watched instead.
    """
    seen: dict[str, str] = {}

    def keep(response: Any) -> None:
        headers = response.http_response.headers
        url = headers.get("Azure-AsyncOperation") or headers.get("Location")
        if url:
            seen["url"] = url

    try:
        await put(keep)
    except HttpResponseError as error:
        if error.status_code != 412:
            raise
        return Started(operation=Operation(resource=resource))
    return Started(operation=Operation(resource=resource, url=seen.get("url")))


def refusable[O: Order](
    start: Callable[[O], Awaitable[Started | Refused]],
) -> Callable[[O], Awaitable[Started | Refused]]:
    """Turns every refusal by Azure (4xx, at any point of the order) into a result."""

    @functools.wraps(start)
    async def run(order: O) -> Started | Refused:
        try:
            return await start(order)
        except HttpResponseError as error:
            if not error.status_code or error.status_code >= 500:
                raise
            return Refused(refusal=refusal_of(error))

    return run


async def look(operation: Operation) -> OperationState:
    """Polls an operation once, at its own address where known, else at its resource."""
    place = take_apart(operation.resource)
    client = clients.compute(place.subscription)
    try:
        if operation.url:
            response = await client.send_request(HttpRequest("GET", operation.url))
            response.raise_for_status()
            return _from_status(response.json() if response.content else {}, response.status_code)
        getter: dict[str, Any] = {
            "snapshots": client.snapshots,
            "disks": client.disks,
            "virtualMachines": client.virtual_machines,
        }
        found: Any = await getter[place.kind].get(place.group, place.name)
    except HttpResponseError as error:
        if error.status_code == 404:
            return await _without_address(operation)
        if error.status_code == 429:
            return OperationState(state="running", refusal=refusal_of(error))
        raise
    state = found.properties.provisioning_state or ""
    if state == "Succeeded":
        return OperationState(state="succeeded")
    if state in ("Failed", "Canceled"):
        return OperationState(state="failed", refusal=await _why_failed(client, place.kind, place.group, place.name))
    return OperationState(state="running")


async def _without_address(operation: Operation) -> OperationState:
    """The state of an operation without an address, from its resource; a missing resource is gone."""
    return await look(Operation(resource=operation.resource)) if operation.url else OperationState(state="gone")


def _from_status(body: dict[str, Any], status_code: int) -> OperationState:
    """Reads an Azure-AsyncOperation body.

    Source: Azure/azure-resource-manager-rpc:v1.0/async-api-reference.md (terminal: Succeeded, Failed, Canceled).
    """
    status = str(body.get("status", "Succeeded" if status_code in (200, 204) else "InProgress"))
    if status == "Succeeded":
        output = ((body.get("properties") or {}).get("output") or {}).get("value")
        return OperationState(state="succeeded", output=output, took=_took(body))
    if status in ("Failed", "Canceled"):
        error = body.get("error") or {}
        return OperationState(
            state="failed", refusal=classify(0, str(error.get("code", status)), str(error.get("message", status)))
        )
    return OperationState(state="running")


def _took(body: dict[str, Any]) -> float | None:
    try:
        began, ended = (datetime.fromisoformat(body[key]) for key in ("startTime", "endTime"))
        return max(0.0, (ended - began).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None


async def may_be_up(client: Any, group: str, machine: Any) -> bool:
    """Whether Azure reports a machine as failed only because it gave up waiting for its start."""
    if machine.properties is None or machine.properties.provisioning_state != "Failed":
        return False
    return (await _why_failed(client, "virtualMachines", group, machine.name)).code.lower() in MAY_BE_UP


async def _why_failed(client: Any, kind: str, group: str, name: str) -> Refusal:
    """A failed machine's instance view names the reason: ``ProvisioningState/failed/AllocationFailed``."""
    if kind == "virtualMachines":
        view = await client.virtual_machines.instance_view(group, name)
        for status in view.statuses or []:
            parts = (status.code or "").split("/")
            if len(parts) == 3 and parts[1] == "failed":
                return classify(0, parts[2], status.message or parts[2])
    return classify(0, "ProvisioningFailed", f"{name} did not become ready; Azure reported no reason.")
