"""Every operation of the lab's Resource Manager, against Microsoft's published REST examples.

Each test names the example file in Azure/azure-rest-api-specs from which its path, api-version, keys and status codes
were taken. What the examples leave out comes from Azure/azure-cli's recordings of the real service, and says so.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from tests.lab.azure import (
    DISKS,
    HELPER,
    LIMIT,
    MACHINES,
    NETWORK,
    NIC,
    RECOVERY,
    ROOT,
    SOURCE,
    Azure,
    Recorder,
    compute,
    copy_of,
    machine_from,
    simulated,
)
from tests.lab.published import (
    DISK,
    DISK_FILES,
    GROUP,
    MACHINE,
    MACHINE_FILES,
    NAMED,
    RESOURCE,
    SCRIPT_FILES,
    SNAPSHOT,
    STABLE_DISK_FILES,
    STABLE_MACHINE_FILES,
    STATUS,
    check,
    check_operation,
    differences,
    everywhere,
    example,
    single,
)


@pytest.fixture
def azure() -> Iterator[Azure]:
    with simulated() as azure:
        yield azure


# Snapshots and disks


@example("PUT", single("snapshots"), f"{DISK_FILES}/snapshotExamples/Snapshot_Create_InstantAccessSnapshot.json")
def test_snapshot_of_a_disk_is_accepted_with_202_and_updating(azure: Azure) -> None:
    seen, path = Recorder(), compute("snapshots", "point")
    body = copy_of(SOURCE)
    poller = azure.compute_client().snapshots.begin_create_or_update(
        "rg-recovery", "point", body, raw_response_hook=seen
    )
    check(seen[0], "PUT", path, DISKS, 202)
    assert seen[0].sent == body
    assert differences(seen[0].reply.body, RESOURCE) == []
    assert seen[0].reply.body["properties"]["provisioningState"] == "Updating"
    assert seen[0].reply.body["properties"]["creationData"]["sourceResourceId"] == SOURCE
    check_operation(azure, seen[0].reply, "diskOperations", DISKS)
    finished = poller.result(LIMIT)
    assert finished.id == path
    assert finished.properties.provisioning_state == "Succeeded"


@example("GET", single("snapshots"), f"{DISK_FILES}/snapshotExamples/Snapshot_Get.json")
def test_snapshot_tells_what_it_was_made_from(azure: Azure) -> None:
    azure.finished(azure.put_snapshot())
    seen = Recorder()
    azure.compute_client().snapshots.get("rg-recovery", "point", raw_response_hook=seen)
    check(seen[0], "GET", compute("snapshots", "point"), DISKS, 200)
    body = seen[0].reply.body
    assert differences(body, SNAPSHOT) == []
    assert body["type"] == "Microsoft.Compute/snapshots"
    source = azure.ask("GET", SOURCE, DISKS).body
    assert body["properties"]["creationData"]["sourceUniqueId"] == source["properties"]["uniqueId"]


@example("PUT", single("disks"), f"{DISK_FILES}/diskExamples/Disk_Create_ByCopyingASnapshot.json")
def test_disk_from_a_snapshot_is_accepted_with_202_and_updating(azure: Azure) -> None:
    azure.finished(azure.put_snapshot())
    seen, path, body = Recorder(), compute("disks", "sql-os"), copy_of(compute("snapshots", "point"))
    poller = azure.compute_client().disks.begin_create_or_update("rg-recovery", "sql-os", body, raw_response_hook=seen)
    check(seen[0], "PUT", path, DISKS, 202)
    assert seen[0].sent == body
    assert differences(seen[0].reply.body, RESOURCE | {"properties.creationData.sourceResourceId": str}) == []
    assert seen[0].reply.body["properties"]["provisioningState"] == "Updating"
    check_operation(azure, seen[0].reply, "diskOperations", DISKS)
    assert poller.result(LIMIT).properties.provisioning_state == "Succeeded"


@example("GET", single("disks"), f"{STABLE_DISK_FILES}/diskExamples/Disk_Get.json")
def test_disk_names_its_machine_only_while_it_is_attached(azure: Azure) -> None:
    disk, seen, client = azure.disk("sql-os"), Recorder(), azure.compute_client()
    client.disks.get("rg-recovery", "sql-os", raw_response_hook=seen)
    azure.finished(azure.put_machine("sql", disk))
    client.disks.get("rg-recovery", "sql-os", raw_response_hook=seen)
    free, attached = (call.reply.body for call in seen)
    check(seen[0], "GET", disk, DISKS, 200)
    assert differences(free, DISK) == []
    assert free["type"] == "Microsoft.Compute/disks"
    assert (free.get("managedBy"), free["properties"]["diskState"]) == (None, "Unattached")
    assert attached["managedBy"] == compute("virtualMachines", "sql")
    assert attached["properties"]["diskState"] == "Attached"


@example("DELETE", single("snapshots"), f"{STABLE_DISK_FILES}/snapshotExamples/Snapshot_Delete.json")
@example("DELETE", single("disks"), f"{DISK_FILES}/diskExamples/Disk_Delete.json")
@pytest.mark.parametrize("kind", ["snapshots", "disks"])
def test_deletion_is_accepted_with_202_and_an_absent_resource_answers_204(azure: Azure, kind: str) -> None:
    azure.disk("point")
    seen, operations = Recorder(), getattr(azure.compute_client(), kind)
    operations.begin_delete("rg-recovery", "point", raw_response_hook=seen).result(LIMIT)
    check(seen[0], "DELETE", compute(kind, "point"), DISKS, 202)
    assert (seen[0].sent, seen[0].reply.body) == (None, None)
    check_operation(azure, seen[0].reply, "diskOperations", DISKS)
    assert azure.ask("GET", compute(kind, "point"), DISKS).code == "ResourceNotFound"
    again = azure.ask("DELETE", compute(kind, "point"), DISKS)
    assert (again.status, again.body) == (204, None)


@example(
    "GET",
    f"{GROUP}/Microsoft.Compute/snapshots",
    f"{STABLE_DISK_FILES}/snapshotExamples/Snapshot_ListByResourceGroup.json",
)
@example("GET", f"{GROUP}/Microsoft.Compute/disks", f"{STABLE_DISK_FILES}/diskExamples/Disk_ListByResourceGroup.json")
@pytest.mark.parametrize("kind", ["snapshots", "disks"])
def test_list_holds_the_groups_own_resources_and_no_others(azure: Azure, kind: str) -> None:
    azure.disk("sql-os")
    seen, operations = Recorder(), getattr(azure.compute_client(), kind)
    names = [item.name for item in operations.list_by_resource_group("rg-recovery", raw_response_hook=seen)]
    check(seen[0], "GET", f"{RECOVERY}/providers/Microsoft.Compute/{kind}", DISKS, 200)
    assert names == [{"snapshots": "point", "disks": "sql-os"}[kind]]
    assert differences(seen[0].reply.body["value"][0], SNAPSHOT if kind == "snapshots" else DISK) == []


@example("GET", everywhere("snapshots"), f"{STABLE_DISK_FILES}/snapshotExamples/Snapshot_ListByResourceGroup.json")
@example("GET", everywhere("disks"), f"{STABLE_DISK_FILES}/diskExamples/Disk_ListByResourceGroup.json")
@pytest.mark.parametrize(("kind", "ids"), [("snapshots", {"point"}), ("disks", {"sql-os", "sql-data"})])
def test_list_of_the_subscription_holds_every_groups_resources(azure: Azure, kind: str, ids: set[str]) -> None:
    azure.disk("sql-data")
    seen = Recorder()
    found = getattr(azure.compute_client(person=True), kind).list(raw_response_hook=seen)
    assert {item.name for item in found} == ids
    check(seen[0], "GET", f"{ROOT}/providers/Microsoft.Compute/{kind}", DISKS, 200)


# Machines


@example("PUT", single("virtualMachines"), f"{MACHINE_FILES}/VirtualMachine_Create_FromASpecializedSharedImage.json")
def test_machine_is_created_with_201_and_updated_with_200(azure: Azure) -> None:
    disk, seen, client = azure.disk("sql-os"), Recorder(), azure.compute_client()
    body = machine_from(disk, NIC)
    poller = client.virtual_machines.begin_create_or_update("rg-recovery", "sql", body, raw_response_hook=seen)
    check(seen[0], "PUT", compute("virtualMachines", "sql"), MACHINES, 201)
    assert seen[0].sent == body
    created = seen[0].reply.body
    assert differences(created, MACHINE) == []
    assert created["type"] == "Microsoft.Compute/virtualMachines"
    assert created["properties"]["provisioningState"] == "Creating"
    assert not {"osProfile"} & set(created["properties"])
    assert "imageReference" not in created["properties"]["storageProfile"]
    check_operation(azure, seen[0].reply, "operations", MACHINES)
    assert poller.result(LIMIT).properties.provisioning_state == "Succeeded"
    updated = azure.put_machine("sql", disk, size="Standard_D4s_v5")
    assert updated.status == 200
    assert updated.body["properties"]["vmId"] == created["properties"]["vmId"]


@example("GET", single("virtualMachines"), f"{STABLE_MACHINE_FILES}/VirtualMachine_Get.json")
def test_machine_shows_its_size_its_disks_and_its_interface(azure: Azure) -> None:
    azure.finished(azure.put_machine("sql", azure.disk("sql-os"), data=(azure.disk("sql-data"),)))
    seen = Recorder()
    azure.compute_client().virtual_machines.get("rg-recovery", "sql", raw_response_hook=seen)
    check(seen[0], "GET", compute("virtualMachines", "sql"), MACHINES, 200)
    body = seen[0].reply.body
    assert differences(body, MACHINE | {"tags": dict, "properties.timeCreated": str}) == []
    data = body["properties"]["storageProfile"]["dataDisks"][0]
    assert differences(data, {"lun": int, "createOption": str, "managedDisk.id": str}) == []
    assert body["properties"]["provisioningState"] == "Succeeded"


@example(
    "GET",
    f"{single('virtualMachines')}/instanceView",
    f"{STABLE_MACHINE_FILES}/VirtualMachine_Get_InstanceView.json",
)
def test_instance_view_of_a_running_machine_says_provisioned_and_running(azure: Azure) -> None:
    azure.finished(azure.put_machine("sql", azure.disk("sql-os")))
    seen = Recorder()
    azure.compute_client().virtual_machines.instance_view("rg-recovery", "sql", raw_response_hook=seen)
    check(seen[0], "GET", compute("virtualMachines", "sql") + "/instanceView", MACHINES, 200)
    body = seen[0].reply.body
    assert [status["code"] for status in body["statuses"]] == ["ProvisioningState/succeeded", "PowerState/running"]
    assert [differences(status, STATUS) for status in body["statuses"]] == [[], []]
    assert differences(body, {"vmAgent.vmAgentVersion": str, "vmAgent.statuses": list}) == []


@example("DELETE", single("virtualMachines"), f"{MACHINE_FILES}/VirtualMachine_Delete_Force.json")
def test_deleted_machine_sets_its_disks_and_its_interface_free(azure: Azure) -> None:
    disk = azure.disk("sql-os")
    azure.finished(azure.put_machine("sql", disk))
    seen, client = Recorder(), azure.compute_client()
    client.virtual_machines.begin_delete("rg-recovery", "sql", raw_response_hook=seen).result(LIMIT)
    check(seen[0], "DELETE", compute("virtualMachines", "sql"), MACHINES, 202)
    assert seen[0].reply.body is None
    check_operation(azure, seen[0].reply, "operations", MACHINES)
    assert "managedBy" not in azure.ask("GET", disk, DISKS).body
    assert "virtualMachine" not in azure.ask("GET", NIC, NETWORK, person=True).body["properties"]
    assert azure.ask("DELETE", compute("virtualMachines", "sql"), MACHINES).status == 204


@example(
    "GET", f"{GROUP}/Microsoft.Compute/virtualMachines", f"{MACHINE_FILES}/VirtualMachine_List_MinimumSet_Gen.json"
)
def test_list_of_machines_holds_the_groups_own(azure: Azure) -> None:
    azure.finished(azure.put_machine("sql", azure.disk("sql-os")))
    seen = Recorder()
    machines = list(azure.compute_client().virtual_machines.list("rg-recovery", raw_response_hook=seen))
    assert [machine.name for machine in machines] == ["sql"]
    check(seen[0], "GET", f"{RECOVERY}/providers/Microsoft.Compute/virtualMachines", MACHINES, 200)
    assert differences(seen[0].reply.body, {"value.0.id": str, "value.0.location": str}) == []


@example(
    "GET",
    everywhere("virtualMachines"),
    f"{STABLE_MACHINE_FILES}/VirtualMachine_ListAll_MinimumSet_Gen.json",
)
def test_list_of_the_subscriptions_machines_holds_every_groups(azure: Azure) -> None:
    azure.finished(azure.put_machine("sql", azure.disk("sql-os")))
    seen = Recorder()
    machines = list(azure.compute_client(person=True).virtual_machines.list_all(raw_response_hook=seen))
    assert {machine.name for machine in machines} == {"sql", "replication"}
    check(seen[0], "GET", f"{ROOT}/providers/Microsoft.Compute/virtualMachines", MACHINES, 200)
    assert differences(seen[0].reply.body, {"value.1.id": str, "value.1.location": str}) == []


@example(
    "POST",
    f"{single('virtualMachines')}/runCommand",
    f"{SCRIPT_FILES}/VirtualMachineRunCommand.json",
)
def test_run_command_ends_in_two_values_standard_output_and_standard_error(azure: Azure) -> None:
    heard: list[tuple[str, str, dict[str, str]]] = []

    def script(machine: str, text: str, given: dict[str, str]) -> tuple[str, str]:
        heard.append((machine, text, given))
        return "all good", "a warning"

    azure.scripts.on_script = script
    seen, body = Recorder(), {"commandId": "RunPowerShellScript", "script": ["Get-Date", "Get-Item ."]}
    poller = azure.compute_client().virtual_machines.begin_run_command(
        "rg-replica", "replication", body, raw_response_hook=seen
    )
    check(seen[0], "POST", f"{HELPER}/runCommand", MACHINES, 202)
    assert seen[0].sent == body
    assert seen[0].reply.body is None
    check_operation(azure, seen[0].reply, "operations", MACHINES)
    values = [value.as_dict() for value in poller.result(LIMIT).value]
    assert heard == [(HELPER, "Get-Date\nGet-Item .", {})]
    assert [value["code"] for value in values] == [
        "ComponentStatus/StdOut/succeeded",
        "ComponentStatus/StdErr/succeeded",
    ]
    assert [value["message"] for value in values] == ["all good", "a warning"]
    assert [differences(value, STATUS) for value in values] == [[], []]
    done = azure.ask("GET", seen[0].reply.headers["Azure-AsyncOperation"]).body
    assert [value["message"] for value in done["properties"]["output"]["value"]] == ["all good", "a warning"]


def test_every_operation_that_the_lab_models_is_named_by_a_test(azure: Azure) -> None:
    for module in ("services", "operations"):
        importlib.import_module(f"tests.lab.test_resource_manager_{module}")
    modelled = {(route.method, route.template) for route in azure.arm._routes}
    assert sorted(modelled - set(NAMED)) == []
    assert sorted(set(NAMED) - modelled) == []
