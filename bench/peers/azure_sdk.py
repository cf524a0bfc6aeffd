"""Azure as a script uses it: Microsoft's SDK with its own pollers, one method for each thing a failover needs."""

from __future__ import annotations

from typing import Any

from azure.identity import DefaultAzureCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.trafficmanager import TrafficManagerManagementClient

from bench.peers.site import Site


class AzureSdk:
    """``polling`` is the interval of the pollers where Azure names none; the SDK's own is 30 s."""

    def __init__(self, site: Site) -> None:
        self._site = site
        credential = DefaultAzureCredential()
        options: dict[str, Any] = {"base_url": site.resource_manager, "credential_scopes": [site.scope]}
        polling = {"polling_interval": site.polling / site.speed}
        self._compute = ComputeManagementClient(credential, site.subscription, **options, **polling)
        self._traffic = TrafficManagerManagementClient(credential, site.subscription, **options)

    def freeze(self) -> None:
        body: Any = {"commandId": "RunPowerShellScript", "script": self._site.freeze.splitlines()}
        machines = self._compute.virtual_machines
        machines.begin_run_command(self._site.replica_group, self._site.replica_machine, body).result()

    def snapshot(self, disk: dict[str, Any]) -> str:
        body: Any = {
            "location": self._site.location,
            "properties": {
                "creationData": {"createOption": "Copy", "sourceResourceId": disk["id"]},
                "incremental": True,
            },
        }
        made = self._compute.snapshots.begin_create_or_update(self._site.group, f"{disk['name']}-snap", body)
        return str(made.result().id)

    def disk(self, disk: dict[str, Any], snapshot: str) -> str:
        properties: dict[str, Any] = {"creationData": {"createOption": "Copy", "sourceResourceId": snapshot}}
        if disk["os"]:
            properties |= {"osType": "Windows", "hyperVGeneration": "V2"}
        body: Any = {"location": self._site.location, "sku": {"name": "Premium_LRS"}, "properties": properties}
        made = self._compute.disks.begin_create_or_update(self._site.group, f"{disk['name']}-disk", body)
        return str(made.result().id)

    def machine(self, workload: dict[str, Any], disks: list[str]) -> None:
        system, *data = disks
        storage = {
            "osDisk": {"osType": "Windows", "createOption": "Attach", "managedDisk": {"id": system}},
            "dataDisks": [
                {"lun": lun, "createOption": "Attach", "managedDisk": {"id": disk}} for lun, disk in enumerate(data)
            ],
        }
        body: Any = {
            "location": self._site.location,
            "properties": {
                "hardwareProfile": {"vmSize": workload["size"]},
                "storageProfile": storage,
                "networkProfile": {"networkInterfaces": [{"id": workload["nic"], "properties": {"primary": True}}]},
            },
        }
        machines = self._compute.virtual_machines
        machines.begin_create_or_update(self._site.group, f"{workload['name']}-recovered", body).result()

    def endpoint(self, which: str, status: str) -> None:
        traffic = self._site.traffic
        body: Any = {"properties": {"endpointStatus": status}}
        self._traffic.endpoints.update(traffic["group"], traffic["profile"], traffic["type"], traffic[which], body)

    def move_customers(self) -> None:
        self.endpoint("recovery", "Enabled")
        self.endpoint("primary", "Disabled")
