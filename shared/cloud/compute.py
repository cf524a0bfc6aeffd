"""Snapshots, disks and machines: started without waiting, safe to start twice, looked at until they are done.

Every function looks before it acts, so a step that was cut off anywhere may simply run again.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Literal

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from shared import names
from shared.cloud import clients
from shared.cloud.ids import compute_id, take_apart
from shared.cloud.inherited import protected_as, started_as
from shared.plan import Strict
from shared.policy.capacity import MAY_BE_UP, Refusal, classify
from shared.runs import Order

_log = logging.getLogger("coldsite.compute")
Kind = Literal["snapshots", "disks", "virtualMachines"]


class Operation(Strict):
    """A long-running operation. Without ``url`` (it was started before a crash) the resource itself is asked."""

    resource: str
    url: str | None = None


class Started(Strict):
    kind: Literal["started"] = "started"
    operation: Operation


class Refused(Strict):
    kind: Literal["refused"] = "refused"
    refusal: Refusal

    @property
    def is_for_later(self) -> bool:
        """Whether the same order may succeed by itself later."""
        return self.refusal.kind in ("throttled", "conflict")


class OperationState(Strict):
    """``refusal`` is set when the operation failed; ``output`` is what Run Command's operation returned."""

    state: Literal["running", "succeeded", "failed", "gone"]
    refusal: Refusal | None = None
    output: list[dict[str, Any]] | None = None


class SnapshotOrder(Order):
    """Snapshot one replica disk into the recovery group as part of the set ``set_id``."""

    group: str
    location: str
    name: str
    source: str
    set_id: str
    tags: dict[str, str]


class DiskOrder(Order):
    """Make a disk from a snapshot."""

    group: str
    location: str
    name: str
    snapshot: str
    storage: str
    os: Literal["windows", "linux"] | None
    generation: str
    zone: str | None
    tags: dict[str, str]


class MachineOrder(Order):
    """Make a machine from disks that hold an installed system."""

    group: str
    location: str
    name: str
    size: str
    zone: str | None
    os: Literal["windows", "linux"]
    license: str | None
    os_disk: str
    data_disks: dict[int, str]
    nic: str
    tags: dict[str, str]


def refusal_of(error: HttpResponseError) -> Refusal:
    """Azure's error as data: its code and words survive to the decision."""
    code, message = getattr(error.error, "code", None), getattr(error.error, "message", None)
    headers = getattr(error.response, "headers", None) or {}
    header = headers.get("Retry-After")
    wait = float(header) if header and header.replace(".", "", 1).isdigit() else None
    return classify(error.status_code or 0, code or "", message or error.message or "no message", wait)


async def refusal_or_none(call: Awaitable[Any]) -> Refusal | None:
    """Azure's "no" (any 4xx) to a call, as data. What is no answer, and any 5xx, is raised."""
    try:
        await call
    except HttpResponseError as error:
        if not error.status_code or error.status_code >= 500:
            raise
        return refusal_of(error)
    return None


async def start_operation(resource: str, put: Callable[[Any], Awaitable[Any]]) -> Started:
    """Sends one PUT or POST and keeps the address of its operation.

    412 means that somebody was quicker (IfMissing): the resource is there, and is watched instead.
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


async def _already_there(operations: Any, order: SnapshotOrder | DiskOrder, resource: str) -> Started | Refused | None:
    """A disk or snapshot that exists is watched; one that failed is removed, and asked for again a little later."""
    group = take_apart(order.group).group
    try:
        found = await operations.get(group, order.name)
    except ResourceNotFoundError:
        return None
    if found.properties and found.properties.provisioning_state == "Failed":
        await operations.begin_delete(group, order.name, polling=False)
        failed = Refusal(kind="conflict", code="Failed", message=f"{order.name} failed before and is made anew.")
        return Refused(refusal=failed)
    return Started(operation=Operation(resource=resource))


def refusable[O: Order](
    start: Callable[[O], Awaitable[Started | Refused]],
) -> Callable[[O], Awaitable[Started | Refused]]:
    """Turns every "no" of Azure (4xx, wherever it comes in the course of the order) into a result."""

    @functools.wraps(start)
    async def run(order: O) -> Started | Refused:
        try:
            return await start(order)
        except HttpResponseError as error:
            if not error.status_code or error.status_code >= 500:
                raise
            return Refused(refusal=refusal_of(error))

    return run


@refusable
async def start_snapshot(order: SnapshotOrder) -> Started | Refused:
    """Starts an incremental snapshot unless it exists. The source is only read."""
    place = take_apart(order.group)
    client = clients.compute(place.subscription)
    resource = compute_id(order.group, "snapshots", order.name)
    if told := await _already_there(client.snapshots, order, resource):
        return told
    source = take_apart(order.source)
    disk = await clients.compute(source.subscription).disks.get(source.group, source.name)
    body: Any = {
        "location": order.location,
        "tags": order.tags,
        "properties": {
            "creationData": {"createOption": "Copy", "sourceResourceId": order.source},
            "incremental": True,
            **protected_as(disk),
        },
    }
    return await start_operation(
        resource,
        lambda keep: client.snapshots.begin_create_or_update(
            place.group, order.name, body, polling=False, raw_response_hook=keep
        ),
    )


@refusable
async def start_disk(order: DiskOrder) -> Started | Refused:
    """Starts a disk from a snapshot unless it exists."""
    place = take_apart(order.group)
    client = clients.compute(place.subscription)
    resource = compute_id(order.group, "disks", order.name)
    if told := await _already_there(client.disks, order, resource):
        return told
    copied = take_apart(order.snapshot)
    snapshot = await clients.compute(copied.subscription).snapshots.get(copied.group, copied.name)
    properties: dict[str, Any] = {
        "creationData": {"createOption": "Copy", "sourceResourceId": order.snapshot},
        **protected_as(snapshot),
    }
    if order.os:
        properties |= {"osType": order.os.capitalize(), "hyperVGeneration": order.generation}
    body: Any = {
        "location": order.location,
        "tags": order.tags,
        "sku": {"name": order.storage},
        "properties": properties,
    }
    if order.zone:
        body["zones"] = [order.zone]
    return await start_operation(
        resource,
        lambda keep: client.disks.begin_create_or_update(
            place.group, order.name, body, polling=False, raw_response_hook=keep
        ),
    )


@refusable
async def start_machine(order: MachineOrder) -> Started | Refused:
    """Starts the machine. One that exists and failed is PUT again, with the size of this order: it stays the same
    machine. Any other is taken as it is, whatever its size: a retry must not resize a machine that runs, nor one that
    may, since Azure only gave up waiting for it.

    Attaching a specialised disk takes no osProfile and no imageReference
    (source: Azure/azure-rest-api-specs, Microsoft.Compute virtualMachines, osDisk.createOption Attach).
    """
    place = take_apart(order.group)
    client = clients.compute(place.subscription)
    resource = compute_id(order.group, "virtualMachines", order.name)
    condition: dict[str, Any] = {"match_condition": MatchConditions.IfMissing}
    with contextlib.suppress(ResourceNotFoundError):
        found = await client.virtual_machines.get(place.group, order.name)
        state = (found.properties.provisioning_state if found.properties else None) or ""
        if state != "Failed" or await may_be_up(client, place.group, found):
            return Started(operation=Operation(resource=resource))
        condition = {}
    data = [
        {"lun": lun, "createOption": "Attach", "managedDisk": {"id": disk}}
        for lun, disk in sorted(order.data_disks.items())
    ]
    properties: dict[str, Any] = {
        "hardwareProfile": {"vmSize": order.size},
        "storageProfile": {
            "osDisk": {
                "osType": order.os.capitalize(),
                "createOption": "Attach",
                "managedDisk": {"id": order.os_disk},
            },
            "dataDisks": data,
        },
        "networkProfile": {"networkInterfaces": [{"id": order.nic, "properties": {"primary": True}}]},
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
    }
    if order.license:
        properties["licenseType"] = order.license
    said = started_as(await client.disks.get(place.group, take_apart(order.os_disk).name))
    properties |= said.pop("properties", {})
    body: Any = {"location": order.location, "tags": order.tags, "properties": properties, **said}
    if order.zone:
        body["zones"] = [order.zone]
    return await start_operation(
        resource,
        lambda keep: client.virtual_machines.begin_create_or_update(
            place.group, order.name, body, polling=False, raw_response_hook=keep, **condition
        ),
    )


async def look(operation: Operation) -> OperationState:
    """One look at an operation, by its own address where known, else at its resource."""
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
    """An operation whose address is forgotten is known by its resource; a resource that is not there is gone."""
    return await look(Operation(resource=operation.resource)) if operation.url else OperationState(state="gone")


def _from_status(body: dict[str, Any], status_code: int) -> OperationState:
    """Reads an Azure-AsyncOperation body.

    Source: Azure/azure-resource-manager-rpc:v1.0/async-api-reference.md (terminal: Succeeded, Failed, Canceled).
    """
    status = str(body.get("status", "Succeeded" if status_code in (200, 204) else "InProgress"))
    if status == "Succeeded":
        output = ((body.get("properties") or {}).get("output") or {}).get("value")
        return OperationState(state="succeeded", output=output)
    if status in ("Failed", "Canceled"):
        error = body.get("error") or {}
        return OperationState(
            state="failed", refusal=classify(0, str(error.get("code", status)), str(error.get("message", status)))
        )
    return OperationState(state="running")


async def may_be_up(client: Any, group: str, machine: Any) -> bool:
    """Whether Azure calls a machine failed only because it gave up waiting for its start."""
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
    return classify(0, "ProvisioningFailed", f"{name} did not become ready, and Azure names no reason.")


class PointInTime(Strict):
    """One recovery point on record in Azure: the snapshots of one set. ``run_id`` is the run that took it, if any;
    ``data_until`` is from when its data are at least, as was known when it was taken; None for a set from before that
    was noted.
    """

    set_id: str
    run_id: str = ""
    taken_at: datetime
    consistency: Literal["application", "crash"]
    snapshots: dict[str, str]
    data_until: datetime | Literal["unknown"] | None = None

    @property
    def holds_until(self) -> datetime | None:
        """From when the data are; None when that is not known. A replica that heard nothing from its source is older
        than the set that was taken of it.
        """
        if self.data_until == names.UNKNOWN:
            return None
        return min(self.data_until, self.taken_at) if isinstance(self.data_until, datetime) else self.taken_at


class _Tags(Strict):
    """What the tags of one snapshot say of its set."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    set_id: str = Field(alias=names.TAG_SET)
    run_id: str = Field(default="", alias=names.TAG_RUN)
    workload: str = Field(alias=names.TAG_WORKLOAD)
    disk: str = Field(alias="coldsite-disk")
    taken_at: AwareDatetime = Field(alias=names.TAG_TAKEN_AT)
    consistency: Literal["application", "crash"] = Field(alias="coldsite-consistency")
    set_size: int = Field(alias="coldsite-set-size")
    data_until: AwareDatetime | Literal["unknown"] | None = Field(default=None, alias=names.TAG_DATA_UNTIL)


async def recovery_points(group: str, plan: str) -> list[PointInTime]:
    """Every set of this plan's snapshots that is whole and finished, newest first.

    A snapshot whose tags were changed or lost by others makes its own set incomplete, and no other.
    """
    place = take_apart(group)
    sets: dict[str, dict[str, str]] = {}
    facts: dict[str, _Tags] = {}
    async for snapshot in clients.compute(place.subscription).snapshots.list_by_resource_group(place.group):
        tags = snapshot.tags or {}
        ready = snapshot.properties and snapshot.properties.provisioning_state == "Succeeded"
        if tags.get(names.TAG_PLAN) != plan or names.TAG_SET not in tags or not ready:
            continue
        try:
            told = _Tags.model_validate(dict(tags))
        except ValidationError as error:
            wrong = ", ".join(sorted({str(one["loc"][0]) for one in error.errors()}))
            _log.warning(
                "The tags of snapshot %s are not as Coldsite wrote them (%s); its set is not used.",
                snapshot.name,
                wrong,
            )
            continue
        sets.setdefault(told.set_id, {})[f"{told.workload}/{told.disk}"] = snapshot.id or ""
        facts[told.set_id] = told
    whole = [
        PointInTime(
            set_id=key,
            run_id=facts[key].run_id,
            taken_at=facts[key].taken_at,
            consistency=facts[key].consistency,
            snapshots=found,
            data_until=facts[key].data_until,
        )
        for key, found in sets.items()
        if len(found) == facts[key].set_size
    ]
    return sorted(whole, key=lambda point: point.taken_at, reverse=True)
