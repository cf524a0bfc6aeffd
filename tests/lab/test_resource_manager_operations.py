"""The lab's long-running operations, and properties of the published examples that the app does not read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from lab.cloud.faults import Fault
from lab.cloud.times import Times
from tests.lab.azure import (
    DISKS,
    HELPER,
    MACHINES,
    NETWORK,
    NIC,
    ROOT,
    SOURCE,
    SUBSCRIPTION,
    Azure,
    Reply,
    compute,
    copy_of,
    simulated,
)
from tests.lab.published import (
    ASYNC,
    DISK_FILES,
    NETWORK_FILES,
    STABLE_DISK_FILES,
    STABLE_MACHINE_FILES,
    differences,
    example,
    operations_of,
)


@pytest.fixture
def azure() -> Iterator[Azure]:
    with simulated() as azure:
        yield azure


def point_of(azure: Azure) -> str:
    """A finished snapshot of the replica's disk; its id."""
    azure.finished(azure.put_snapshot())
    return compute("snapshots", "point")


DISK_PLACED = {"sku.name": str, "properties.encryption.type": str}


# Operations


def test_orders_and_their_first_polls_say_when_to_ask_again_as_recorded() -> None:
    """See ``_RETRY_AFTER`` in lab/cloud/operations.py: Run Command, later polls and ended operations say nothing."""
    with simulated(speed=1.0, times=Times(snapshot=60, disk=60)) as azure:
        fields = {
            "snapshot": azure.put_snapshot(),
            "run command": azure.ask("POST", f"{HELPER}/runCommand", MACHINES, {"commandId": "RunPowerShellScript"}),
        }
        polls = {
            kind: [azure.ask("GET", reply.headers["Azure-AsyncOperation"]) for _ in range(2)]
            for kind, reply in fields.items()
        }
        assert {kind: _advice([fields[kind], *polls[kind]]) for kind in fields} == {
            "snapshot": ["2", "10", None],
            "run command": [None, None, None],
        }


def _advice(replies: list[Reply]) -> list[str | None]:
    return [reply.headers.get("Retry-After") for reply in replies]


@example("GET", operations_of("operations"), ASYNC)
@example("GET", operations_of("diskOperations"), ASYNC)
@pytest.mark.parametrize("kind", ["operations", "diskOperations"])
def test_running_operation_says_in_progress_and_its_location_says_202(azure: Azure, kind: str) -> None:
    azure.arm.faults.add(Fault("PUT disks", "hang"))
    azure.arm.faults.add(Fault("POST runCommand", "hang"))
    if kind == "diskOperations":
        accepted = azure.put_disk("sql-os", point_of(azure))
    else:
        accepted = azure.ask("POST", f"{HELPER}/runCommand", MACHINES, {"commandId": "RunPowerShellScript"})
    address = accepted.headers["Azure-AsyncOperation"]
    running = azure.ask("GET", address)
    assert running.status == 200
    assert set(running.body) == {"startTime", "status", "name"}
    assert running.body["status"] == "InProgress"
    assert running.body["name"] == urlsplit(address).path.split("/")[-1]
    assert datetime.fromisoformat(running.body["startTime"]).tzinfo
    monitored = azure.ask("GET", accepted.headers["Location"])
    assert (monitored.status, monitored.body) == (202, None)
    assert f"/{kind.lower()}/" in monitored.headers["Location"].lower()


def test_done_operation_carries_the_finished_resource_and_both_times(azure: Azure) -> None:
    accepted = azure.put_snapshot()
    done = azure.finished(accepted).body
    assert set(done) == {"startTime", "endTime", "status", "name", "properties"}
    assert done["status"] == "Succeeded"
    assert datetime.fromisoformat(done["endTime"]) > datetime.fromisoformat(done["startTime"])
    found = azure.ask("GET", compute("snapshots", "point"), DISKS).body
    assert done["properties"]["output"] == found
    monitored = azure.ask("GET", accepted.headers["Location"])
    assert (monitored.status, monitored.body) == (200, found)


def test_done_deletion_has_no_output_and_its_location_says_so(azure: Azure) -> None:
    point_of(azure)
    accepted = azure.ask("DELETE", compute("snapshots", "point"), DISKS)
    done = azure.finished(accepted).body
    assert (done["status"], "properties" in done) == ("Succeeded", False)
    monitored = azure.ask("GET", accepted.headers["Location"])
    assert (monitored.status, monitored.body) in ((200, None), (204, None))


def test_failed_operation_names_its_error_and_its_location_is_no_success(azure: Azure) -> None:
    azure.arm.faults.add(Fault("PUT virtualMachines", "AllocationFailed"))
    accepted = azure.put_machine("sql", azure.disk("sql-os"))
    failed = azure.finished(accepted).body
    assert failed["status"] == "Failed"
    assert differences(failed, {"endTime": str, "error.code": str, "error.message": str}) == []
    assert failed["error"]["code"] == "AllocationFailed"
    assert azure.ask("GET", accepted.headers["Location"]).status >= 400


def test_running_operations_location_leads_to_an_address_with_its_api_version(azure: Azure) -> None:
    """Recorded: every Location carries monitor=true and api-version (Azure/azure-cli recordings of disk PUT)."""
    azure.arm.faults.add(Fault("PUT snapshots", "hang"))
    accepted = azure.put_snapshot()
    monitored = azure.ask("GET", accepted.headers["Location"])
    assert parse_qs(urlsplit(monitored.headers["Location"]).query) == {"monitor": ["true"], "api-version": [DISKS]}


def test_unknown_operation_id_is_not_found(azure: Azure) -> None:
    path = f"{ROOT}/providers/Microsoft.Compute/locations/westeurope/operations/{SUBSCRIPTION}"
    assert azure.ask("GET", path, MACHINES).status == 404


# Properties of the examples that the app does not read

SHOWN: list[tuple[str, str, str, bool, dict[str, type]]] = [
    (
        f"{STABLE_DISK_FILES}/diskExamples/Disk_Get.json",
        compute("disks", "sql-os"),
        DISKS,
        False,
        {"properties.encryption.type": str},
    ),
    (
        f"{STABLE_DISK_FILES}/diskExamples/Disk_Get.json (a disk that was there before)",
        SOURCE,
        DISKS,
        False,
        DISK_PLACED,
    ),
    (
        f"{DISK_FILES}/snapshotExamples/Snapshot_Get.json",
        compute("snapshots", "point"),
        DISKS,
        False,
        {"properties.encryption.type": str},
    ),
    (
        f"{DISK_FILES}/snapshotExamples/Snapshot_GetIncrementalSnapshot.json",
        compute("snapshots", "incremental"),
        DISKS,
        False,
        {"properties.incrementalSnapshotFamilyId": str, "properties.snapshotAccessState": str},
    ),
    (
        f"{STABLE_MACHINE_FILES}/VirtualMachine_Get.json",
        compute("virtualMachines", "sql"),
        MACHINES,
        False,
        {
            "etag": str,
            "properties.storageProfile.osDisk.name": str,
            "properties.storageProfile.osDisk.caching": str,
            "properties.storageProfile.osDisk.diskSizeGB": int,
            "properties.storageProfile.osDisk.managedDisk.storageAccountType": str,
        },
    ),
    (
        f"{STABLE_MACHINE_FILES}/VirtualMachine_Get_InstanceView.json",
        compute("virtualMachines", "sql") + "/instanceView",
        MACHINES,
        False,
        {"statuses.0.time": str, "vmAgent.statuses.0.code": str, "disks.0.statuses.0.code": str},
    ),
    (
        f"{NETWORK_FILES}/NetworkInterfaceGet.json",
        NIC,
        NETWORK,
        True,
        {
            "properties.dnsSettings.dnsServers": list,
            "properties.enableAcceleratedNetworking": bool,
            "properties.enableIPForwarding": bool,
            "properties.macAddress": str,
            "properties.primary": bool,
            "properties.ipConfigurations.0.properties.privateIPAddressVersion": str,
        },
    ),
]


@pytest.mark.parametrize(
    ("path", "version", "person", "structure"), [row[1:] for row in SHOWN], ids=[row[0].split("/")[-1] for row in SHOWN]
)
def test_answer_has_what_the_example_shows_beyond_what_the_app_reads(
    azure: Azure, path: str, version: str, person: bool, structure: dict[str, type]
) -> None:
    incremental = copy_of(SOURCE)
    incremental["properties"]["incremental"] = True
    azure.finished(azure.ask("PUT", compute("snapshots", "incremental"), DISKS, incremental))
    azure.finished(azure.put_machine("sql", azure.disk("sql-os")))
    reply = azure.ask("GET", path, version, person=person)
    assert differences(reply.body, structure) == []


def test_accepted_disk_does_not_know_yet_what_azure_tells_of_a_finished_one(azure: Azure) -> None:
    """Recorded: the 202 of a disk PUT has no uniqueId, timeCreated or diskState (Azure/azure-cli,

    test_disk_snapshot_hyper_v_generation_default_to_null.yaml).
    """
    accepted = azure.put_disk("sql-os", point_of(azure)).body["properties"]
    assert {"uniqueId", "timeCreated", "diskState"} & set(accepted) == set()
