"""Facts of Microsoft's published REST examples (Azure/azure-rest-api-specs) and how a test is compared with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.lab.azure import ROOT, Azure, Exchange, Reply

COMPUTE_FILES = "specification/compute/resource-manager/Microsoft.Compute/Compute"
DISK_FILES = f"{COMPUTE_FILES}/ComputeDisk/examples/2026-03-02"
STABLE_DISK_FILES = f"{COMPUTE_FILES}/stable/2026-03-02/examples"
MACHINE_FILES = f"{COMPUTE_FILES}/Compute/examples/2026-04-01/virtualMachineExamples"
STABLE_MACHINE_FILES = f"{COMPUTE_FILES}/stable/2026-04-01/examples/virtualMachineExamples"
SCRIPT_FILES = f"{COMPUTE_FILES}/stable/2026-04-01/examples/runCommandExamples"
NETWORK_FILES = "specification/network/resource-manager/Microsoft.Network/Network/examples/2025-05-01"
TRAFFIC_FILES = "specification/trafficmanager/resource-manager/Microsoft.Network/TrafficManager"
STABLE_TRAFFIC_FILES = f"{TRAFFIC_FILES}/stable/2026-09-01/examples"
RESOURCE_FILES = "specification/resources/resource-manager/Microsoft.Resources/subscriptions/examples/2022-12-01"
HEALTH_FILES = (
    "specification/resourcehealth/resource-manager/Microsoft.ResourceHealth/ResourceHealth/examples/2025-05-01"
)
ASYNC = "MicrosoftDocs/azure-docs:articles/azure-resource-manager/management/async-operations.md"

SUB = "/subscriptions/{subscription}"
GROUP = f"{SUB}/resourceGroups/{{group}}/providers"
ONE_PROFILE = f"{GROUP}/Microsoft.Network/trafficManagerProfiles/{{profile}}"

NAMED: dict[tuple[str, str], str] = {}
"""Every tested operation, with the example's file."""


def example[T: Callable[..., None]](method: str, template: str, file: str) -> Callable[[T], T]:
    """Names the operation of a test, and the published example with its facts."""

    def keep(test: T) -> T:
        NAMED[method, template] = file
        return test

    return keep


def single(kind: str) -> str:
    return f"{GROUP}/Microsoft.Compute/{kind}/{{name}}"


def everywhere(kind: str) -> str:
    return f"{SUB}/providers/Microsoft.Compute/{kind}"


RESOURCE = {"id": str, "name": str, "type": str, "location": str, "properties.provisioningState": str}
DISK = RESOURCE | {
    "sku.name": str,
    "tags": dict,
    "properties.creationData.createOption": str,
    "properties.creationData.sourceResourceId": str,
    "properties.diskSizeGB": int,
    "properties.timeCreated": str,
}
SNAPSHOT = DISK | {"properties.creationData.sourceUniqueId": str, "properties.incremental": bool}
MACHINE = RESOURCE | {
    "properties.vmId": str,
    "properties.hardwareProfile.vmSize": str,
    "properties.storageProfile.osDisk.osType": str,
    "properties.storageProfile.osDisk.createOption": str,
    "properties.storageProfile.osDisk.managedDisk.id": str,
    "properties.storageProfile.dataDisks": list,
    "properties.networkProfile.networkInterfaces.0.id": str,
    "properties.networkProfile.networkInterfaces.0.properties.primary": bool,
}
ENDPOINT = {
    "id": str,
    "name": str,
    "type": str,
    "properties.endpointLocation": str,
    "properties.endpointMonitorStatus": str,
    "properties.endpointStatus": str,
    "properties.priority": int,
    "properties.target": str,
    "properties.weight": int,
}
STATUS = {"code": str, "level": str, "displayStatus": str}


def operations_of(kind: str) -> str:
    return f"{SUB}/providers/Microsoft.Compute/locations/{{location}}/{kind}/{{id}}"


def check(seen: Exchange, method: str, path: str, version: str, status: int) -> None:
    """The request line as published, and the status."""
    assert (seen.method, seen.path.lower()) == (method, path.lower())
    assert parse_qs(seen.query)["api-version"] == [version]
    assert seen.reply.status == status


def check_operation(azure: Azure, reply: Reply, kind: str, version: str) -> None:
    """Both headers of an accepted operation.

    The examples show ``Location``; recordings of disk and snapshot PUT show both, and ``DiskOperations`` for disks.
    """
    where = f"{ROOT}/providers/Microsoft.Compute/locations/westeurope/{kind}/"
    queries = {}
    for header in ("Azure-AsyncOperation", "Location"):
        url = urlsplit(reply.headers[header])
        assert f"{url.scheme}://{url.netloc}" == azure.front.url
        assert url.path.lower().startswith(where.lower())
        queries[header] = parse_qs(url.query)
    assert queries["Azure-AsyncOperation"] == {"api-version": [version]}
    assert queries["Location"] == {"monitor": ["true"], "api-version": [version]}


def differences(body: Any, structure: dict[str, type]) -> list[str]:
    """Every dotted key of ``structure`` that ``body`` lacks or holds with another type."""
    found = []
    for key, wanted in structure.items():
        value = body
        for part in key.split("."):
            if isinstance(value, list):
                value = value[int(part)] if int(part) < len(value) else None
            else:
                value = value.get(part) if isinstance(value, dict) else None
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            found.append(f"{key}: {value!r} is no {wanted.__name__}")
    return found
