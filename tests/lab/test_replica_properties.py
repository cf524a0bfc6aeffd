"""The properties that recovered disks and machines inherit from the replica's disks: security type, purchase plan, key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab.cloud.identity import Grant
from shared.azure.compute import start_disk, start_machine, start_snapshot
from shared.models.operations import Refused
from shared.models.orders import DiskOrder, MachineOrder, SnapshotOrder
from shared.models.steps import RunRef
from tests.lab.app_side import AppSide, as_the_app
from tests.lab.azure import LIMIT, NIC, RECOVERY, REPLICA, ROOT, Azure, compute, simulated
from tests.waiting import wait_until

RUN = RunRef(run_id="contoso-f20261101200000000-abcd", plan="contoso", epoch=1)
REPLICA_DISK = f"{REPLICA}/providers/Microsoft.Compute/disks/dt-sql-os"
KEY = f"{ROOT}/resourceGroups/keys/providers/Microsoft.Compute/diskEncryptionSets/ours"
PLAN = {"name": "std", "publisher": "vendor", "product": "appliance"}
TRUSTED = {"securityProfile": {"securityType": "TrustedLaunch"}}
OUR_KEY = {"encryption": {"type": "EncryptionAtRestWithCustomerKey", "diskEncryptionSetId": KEY}}


@pytest.fixture
def app() -> Iterator[AppSide]:
    with simulated() as azure, as_the_app(azure) as app:
        yield app


def made(azure: Azure, resource: str) -> dict[str, Any]:
    """A resource once Azure has finished it."""
    found: dict[str, Any] = azure.compute.resources[resource.lower()]
    wait_until(lambda: found["properties"]["provisioningState"] == "Succeeded", LIMIT, f"{resource} is made")
    return found


def recovered(app: AppSide, **properties: Any) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """The snapshot and the disk created from a replica disk with these properties, and the result for the machine."""
    azure = app.azure
    azure.compute.place(REPLICA_DISK, "westeurope", "the replica", osType="Windows", **properties)
    common: dict[str, Any] = {"run": RUN, "group": RECOVERY, "location": "westeurope", "tags": {}}
    snapshot, disk = compute("snapshots", "point"), compute("disks", "sql-os")
    app.run(start_snapshot(SnapshotOrder(name="point", source=REPLICA_DISK, set_id="set-1", **common)))
    kept = made(azure, snapshot)
    os_disk: dict[str, Any] = {"os": "windows", "generation": "V2", "zone": None, "storage": "Premium_LRS"}
    app.run(start_disk(DiskOrder(name="sql-os", snapshot=snapshot, **os_disk, **common)))
    copy = made(azure, disk)
    size: dict[str, Any] = {"size": "Standard_D2s_v5", "zone": None, "os": "windows", "license": None}
    machine = MachineOrder(name="sql", os_disk=disk, data_disks={}, nic=NIC, **size, **common)
    return kept, copy, app.run(start_machine(machine))


def machine(app: AppSide) -> dict[str, Any]:
    return made(app.azure, compute("virtualMachines", "sql"))


def test_a_plain_disk_makes_a_plain_machine(app: AppSide) -> None:
    recovered(app)
    assert "securityProfile" not in machine(app)["properties"]


def test_a_disk_for_trusted_launch_makes_a_machine_with_it(app: AppSide) -> None:
    """Without it Azure refuses: the security types of machine and disk would differ."""
    *_, started = recovered(app, **TRUSTED)
    assert not isinstance(started, Refused), started
    assert machine(app)["properties"]["securityProfile"]["securityType"] == "TrustedLaunch"


def test_a_disk_of_an_offer_makes_a_machine_that_names_it(app: AppSide) -> None:
    *_, started = recovered(app, purchasePlan=PLAN)
    assert not isinstance(started, Refused), started
    assert app.azure.compute.resources[compute("virtualMachines", "sql").lower()]["properties"]


def test_copies_are_encrypted_with_the_replicas_own_key(app: AppSide) -> None:
    app.azure.identity.grant(Grant(KEY, ("Microsoft.Compute/diskEncryptionSets/read",)))
    snapshot, disk, _ = recovered(app, **OUR_KEY)
    assert snapshot["properties"]["encryption"] == disk["properties"]["encryption"] == OUR_KEY["encryption"]


def test_a_key_that_coldsite_may_not_use_is_refused_by_name(app: AppSide) -> None:
    azure = app.azure
    azure.compute.place(REPLICA_DISK, "westeurope", "the replica", osType="Windows", **OUR_KEY)
    order = SnapshotOrder(
        run=RUN, group=RECOVERY, location="westeurope", tags={}, name="point", source=REPLICA_DISK, set_id="set-1"
    )
    refused = app.run(start_snapshot(order))
    assert isinstance(refused, Refused)
    assert "diskEncryptionSets/read" in refused.refusal.sentence


def test_a_copy_cannot_be_downloaded(app: AppSide) -> None:
    snapshot, disk, _ = recovered(app)
    for copy in (snapshot, disk):
        properties = copy["properties"]
        assert (properties["networkAccessPolicy"], properties["publicNetworkAccess"]) == ("DenyAll", "Disabled")
