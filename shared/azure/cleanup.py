"""Deleting what a run built. Only resources with both the run's tag and a name derived from the run are deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from shared.azure import clients
from shared.azure.operations import may_be_up, refusal_of
from shared.azure.recovery_points import recovery_points
from shared.models import ids
from shared.models.operations import Refusal
from shared.models.orders import POINT, CleanedUp, CleanUpOrder, Holder
from shared.models.resource_ids import take_apart


async def clean_up(order: CleanUpOrder) -> CleanedUp:
    """Starts every deletion that is possible now and returns what is left: machines first, then disks, then snapshots.

    Safe to repeat: it is called until nothing is left. A disk stays in use until its machine is gone.
    """
    place = take_apart(order.group)
    client = clients.compute(place.subscription)
    machines = await _owned(client.virtual_machines.list(place.group), order)
    if order.unfinished:
        machines = [machine for machine in machines if not await may_be_up(client, place.group, machine)]
    disks = await _owned(
        client.disks.list_by_resource_group(place.group), order, lambda disk: order.loose and not disk.managed_by
    )
    snapshots = (
        [] if order.keep_snapshots else await _owned(client.snapshots.list_by_resource_group(place.group), order)
    )
    refused: dict[str, Refusal] = {}

    async def delete(operations: Any, item: Any) -> None:
        if (item.properties.provisioning_state or "") == "Deleting":
            return
        try:
            await operations.begin_delete(place.group, item.name, polling=False)
        except ResourceNotFoundError:
            return
        except HttpResponseError as error:
            if error.status_code and error.status_code >= 500:
                raise
            refused[item.name] = refusal_of(error)

    work = [delete(client.virtual_machines, item) for item in machines]
    work += [delete(client.snapshots, item) for item in snapshots]
    work += [delete(client.disks, item) for item in disks if not item.managed_by]
    await asyncio.gather(*work)
    return CleanedUp(left=sorted(str(item.id) for item in [*machines, *disks, *snapshots]), refused=refused)


async def delete_machines(group: str, plan: str, machines: list[str]) -> tuple[list[str], list[str]]:
    """Starts the deletion of machines of the plan's runs, and returns the names of those that still exist, and Azure's
    refusals. Their disks stay: they are attached without being deleted with the machine.
    """
    place = take_apart(group)
    client = clients.compute(place.subscription)
    wanted = {machine.lower() for machine in machines}
    left: list[str] = []
    refusals: list[str] = []
    async for machine in client.virtual_machines.list(place.group):
        tags = machine.tags or {}
        if str(machine.id).lower() not in wanted or tags.get(ids.TAG_PLAN) != plan or ids.TAG_RUN not in tags:
            continue
        left.append(str(machine.name))
        if machine.properties and machine.properties.provisioning_state == "Deleting":
            continue
        try:
            await client.virtual_machines.begin_delete(place.group, str(machine.name), polling=False)
        except ResourceNotFoundError:
            left.pop()
        except HttpResponseError as error:
            if error.status_code and error.status_code >= 500:
                raise
            refusals.append(refusal_of(error).sentence)
    return left, refusals


async def _owned(listing: Any, order: CleanUpOrder, goes: Callable[[Any], bool] = lambda item: False) -> list[Any]:
    """What the run built, except what is spared; ``goes`` selects finished resources that are not spared."""
    run_id = order.of_run or order.run.run_id
    run = ids.parse_run_id(run_id)
    short = run.short if run else run_id
    found = []
    async for item in listing:
        tags = item.tags or {}
        ours = tags.get(ids.TAG_RUN) == run_id and short in (item.name or "")
        spared = order.unfinished and item.properties.provisioning_state == "Succeeded" and not goes(item)
        if ours and not spared and order.workload in (None, tags.get(ids.TAG_WORKLOAD)):
            found.append(item)
    return found


async def holder_of(group: str, run_id: str, nic: str, disks: list[str]) -> Holder | None:
    """The machine of another run of Coldsite that holds the interface or one of the disks; None for any other."""
    place = take_apart(group)
    wanted = {nic.lower(), *(disk.lower() for disk in disks)}
    async for machine in clients.compute(place.subscription).virtual_machines.list(place.group):
        owner = (machine.tags or {}).get(ids.TAG_RUN, "")
        if owner not in ("", run_id) and wanted & _held_by(machine):
            return Holder(machine=str(machine.name), run_id=owner)
    return None


def _held_by(machine: Any) -> set[str]:
    """The ids of a machine's interfaces and disks, in lower case."""
    network, storage = machine.properties.network_profile, machine.properties.storage_profile
    interfaces = (network.network_interfaces or []) if network else []
    disks = [storage.os_disk, *(storage.data_disks or [])] if storage else []
    managed = [disk.managed_disk for disk in disks if disk and disk.managed_disk]
    return {str(resource.id).lower() for resource in [*interfaces, *managed]}


async def standing(group: str, plan: str) -> dict[str, set[str]]:
    """The resources of a plan's runs in the recovery group: by run id, the kinds of resources."""
    place = take_apart(group)
    client = clients.compute(place.subscription)
    listings = {
        "virtualMachines": client.virtual_machines.list(place.group),
        "disks": client.disks.list_by_resource_group(place.group),
        "snapshots": client.snapshots.list_by_resource_group(place.group),
    }
    found: dict[str, set[str]] = {}

    async def read(kind: str, listing: Any) -> None:
        async for item in listing:
            tags = item.tags or {}
            if tags.get(ids.TAG_PLAN) == plan and ids.TAG_RUN in tags:
                found.setdefault(tags[ids.TAG_RUN], set()).add(kind)

    await asyncio.gather(*(read(kind, listing) for kind, listing in listings.items()))
    return found


async def forget_points(group: str, plan: str, keep: int) -> None:
    """Keeps the timer's newest complete sets and deletes older ones; incomplete sets do not count.

    Only what carries the plan's and a set's tag, no run's, and a name that ends in the set's id is ever deleted.
    """
    whole = [p.set_id for p in await recovery_points(group, plan) if p.set_id.startswith(POINT)]
    oldest_kept = min(whole[:keep], default=None)
    if oldest_kept is None:
        return
    place = take_apart(group)
    client = clients.compute(place.subscription)
    doomed: list[str] = []
    async for item in client.snapshots.list_by_resource_group(place.group):
        tags, name = item.tags or {}, item.name or ""
        set_id = tags.get(ids.TAG_SET, "")
        ours = tags.get(ids.TAG_PLAN) == plan and ids.TAG_RUN not in tags and name.endswith(set_id)
        if ours and set_id.startswith(POINT) and set_id < oldest_kept:
            doomed.append(name)
    await asyncio.gather(*(client.snapshots.begin_delete(place.group, name, polling=False) for name in doomed))
