"""The replica is sacred: the app's identity can neither delete, write or detach its disks nor delete its machine.
It is the last copy of the business.
"""

from __future__ import annotations

import copy
import fnmatch
import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.templates.standing import INFRA
from shared.models.resource_ids import take_apart
from tests.lab.azure import DISKS, HELPER, MACHINES, NIC, REPLICA, Azure, compute, copy_of, machine_from, simulated
from tests.plans import contoso

REPLICATED = {
    f"{name}/{label}": compute("disks", take_apart(disk).name, REPLICA)
    for name in contoso().recovery.workloads
    for label, disk in contoso().workload_disks(name)
}
"""Every disk of contoso's replica, as attached to the replication machine."""


@pytest.fixture(scope="module")
def azure() -> Iterator[Azure]:
    with simulated() as azure:
        helper = azure.compute.resources[HELPER.lower()]
        attached = []
        for number, disk in enumerate(REPLICATED.values()):
            azure.compute.place(disk, "westeurope", "the business")
            azure.compute.resources[disk.lower()]["managedBy"] = HELPER
            attached.append({"lun": number, "createOption": "Attach", "managedDisk": {"id": disk}})
        helper["_disks"] = list(REPLICATED.values())
        helper["properties"]["storageProfile"] = {"osDisk": {"name": "dt-dr-os"}, "dataDisks": attached}
        yield azure


def replica(azure: Azure) -> dict[str, Any]:
    group = REPLICA.lower() + "/"
    return copy.deepcopy({key: value for key, value in azure.compute.resources.items() if key.startswith(group)})


def refused(azure: Azure, method: str, path: str, version: str, body: Any = None) -> str:
    """The message of the expected 403, with the whole replica unchanged."""
    before = replica(azure)
    reply = azure.ask(method, path, version, body)
    assert (reply.status, reply.code) == (403, "AuthorizationFailed")
    assert replica(azure) == before
    return str(reply.body["error"]["message"])


def without(disk: str) -> dict[str, Any]:
    """The replication machine as a PUT without one disk, which detaches that disk."""
    os, *data = [other for other in REPLICATED.values() if other != disk]
    return machine_from(os, NIC, data=tuple(data))


@pytest.mark.parametrize("disk", REPLICATED.values(), ids=REPLICATED)
@pytest.mark.parametrize("spelling", [str, str.lower, str.upper], ids=["as is", "lower", "upper"])
def test_a_disk_of_the_replica_cannot_be_deleted(azure: Azure, disk: str, spelling: Any) -> None:
    assert "Microsoft.Compute/disks/delete" in refused(azure, "DELETE", spelling(disk), DISKS)


@pytest.mark.parametrize("disk", REPLICATED.values(), ids=REPLICATED)
def test_a_disk_of_the_replica_cannot_be_written(azure: Azure, disk: str) -> None:
    others = [other for other in REPLICATED.values() if other != disk]
    assert "Microsoft.Compute/disks/write" in refused(azure, "PUT", disk, DISKS, copy_of(others[0]))


@pytest.mark.parametrize("disk", REPLICATED.values(), ids=REPLICATED)
def test_a_disk_of_the_replica_cannot_be_detached(azure: Azure, disk: str) -> None:
    assert "virtualMachines/write" in refused(azure, "PUT", HELPER, MACHINES, without(disk))


@pytest.mark.parametrize("disk", REPLICATED.values(), ids=REPLICATED)
def test_a_disk_of_the_replica_cannot_be_taken_by_a_machine_of_the_recovery_site(azure: Azure, disk: str) -> None:
    before = replica(azure)
    reply = azure.put_machine("thief", disk)
    assert reply.status in (403, 409)
    assert replica(azure) == before


def test_the_replication_machine_cannot_be_deleted(azure: Azure) -> None:
    assert "virtualMachines/delete" in refused(azure, "DELETE", HELPER, MACHINES)


def test_nothing_new_can_be_put_beside_the_replica(azure: Azure) -> None:
    for kind, version in (("disks", DISKS), ("snapshots", DISKS), ("virtualMachines", MACHINES)):
        refused(azure, "PUT", compute(kind, "new", REPLICA), version, copy_of(next(iter(REPLICATED.values()))))


def test_a_replicas_disk_can_still_be_read_and_copied(azure: Azure) -> None:
    """Otherwise the refusals above would prove nothing."""
    for number, disk in enumerate(REPLICATED.values()):
        assert azure.ask("GET", disk, DISKS).status == 200
        assert azure.put_snapshot(f"copy-{number}", disk).status == 202


@pytest.mark.parametrize("kind", ["disks", "snapshots", "virtualMachines"])
@pytest.mark.parametrize("verb", ["write", "delete"])
def test_no_role_that_reaches_the_replica_may_change_it(kind: str, verb: str) -> None:
    reach = [json.loads(file.read_text()) for file in (INFRA / "roles").glob("*.json")]
    actions = [action for role in reach if role["Scope"] in ("replica", "subscription") for action in role["Actions"]]
    assert actions
    wanted = f"Microsoft.Compute/{kind}/{verb}".lower()
    assert [action for action in actions if fnmatch.fnmatchcase(wanted, action.lower())] == []
