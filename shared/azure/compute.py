"""Snapshots, disks and machines: started without waiting, safe to start twice, polled until they are done.

Every function reads before it acts, so a step that was interrupted anywhere may simply run again.
"""

from __future__ import annotations

import contextlib
from typing import Any, Literal

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError

from shared.azure import clients
from shared.azure.inherited import protected_as, started_as
from shared.azure.operations import may_be_up, refusable, start_operation
from shared.models.operations import Operation, Refusal, Refused, Started
from shared.models.orders import DiskOrder, MachineOrder, SnapshotOrder
from shared.models.resource_ids import compute_id, take_apart


async def machines_in(group: str) -> set[str]:
    """The ids of the machines in a resource group, in lower case."""
    place = take_apart(group)
    listing = clients.compute(place.subscription).virtual_machines.list(place.group)
    return {str(machine.id).lower() async for machine in listing}


async def screen_of(machine: str) -> str | None:
    """The address of a picture of the machine's screen, which is valid for an hour and needs no sign-in; None where the
    machine is gone or Azure has no picture. Raises azure-core's other errors.

    Source: learn.microsoft.com/rest/api/compute/virtual-machines/retrieve-boot-diagnostics-data
    """
    place = take_apart(machine)
    operations = clients.compute(place.subscription).virtual_machines
    try:
        found = await operations.retrieve_boot_diagnostics_data(
            place.group, place.name, sas_uri_expiration_time_in_minutes=60
        )
    except ResourceNotFoundError:
        return None
    return found.console_screenshot_blob_uri


async def _already_there(operations: Any, order: SnapshotOrder | DiskOrder, resource: str) -> Started | Refused | None:
    """A disk or snapshot that exists is watched. One that failed, or a disk of another recovery point, is deleted, and
    ordered again a little later; an order on suspicion never deletes what another order made.
    """
    group = take_apart(order.group).group
    try:
        found = await operations.get(group, order.name)
    except ResourceNotFoundError:
        return None
    if found.properties and found.properties.provisioning_state == "Failed":
        await operations.begin_delete(group, order.name, polling=False)
        failed = Refusal(kind="conflict", code="Failed", message=f"{order.name} failed before and is being recreated.")
        return Refused(refusal=failed)
    made_of = found.properties.creation_data.source_resource_id if found.properties else None
    if isinstance(order, DiskOrder) and made_of and made_of.lower() != order.snapshot.lower():
        if not order.freezing:
            await operations.begin_delete(group, order.name, polling=False)
        kind: Literal["permanent", "conflict"] = "permanent" if order.freezing else "conflict"
        message = f"{order.name} was made from another recovery point."
        return Refused(refusal=Refusal(kind=kind, code="AnotherPoint", message=message))
    return Started(operation=Operation(resource=resource))


@refusable
async def start_snapshot(order: SnapshotOrder) -> Started | Refused:
    """Starts an incremental snapshot unless it exists. The source is only read."""
    place = take_apart(order.group)
    client = clients.compute(place.subscription)
    resource = compute_id(order.group, "snapshots", order.name)
    if words := await _already_there(client.snapshots, order, resource):
        return words
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
    if words := await _already_there(client.disks, order, resource):
        return words
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
    machine. Any other is used as it is, whatever its size: a retry must not resize a machine that runs, or that may
    still start, since Azure only gave up waiting for it.

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
    inherited_start = started_as(await client.disks.get(place.group, take_apart(order.os_disk).name))
    properties |= inherited_start.pop("properties", {})
    body: Any = {"location": order.location, "tags": order.tags, "properties": properties, **inherited_start}
    if order.zone:
        body["zones"] = [order.zone]
    return await start_operation(
        resource,
        lambda keep: client.virtual_machines.begin_create_or_update(
            place.group, order.name, body, polling=False, raw_response_hook=keep, **condition
        ),
    )
