"""Disks, snapshots and machines, with Azure's conflicts: a resource in use cannot be deleted or used twice."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from lab.cloud.arm import Answer, Call, ResourceManager
from lab.cloud.errors import ArmError, not_found
from lab.cloud.faults import ASYNCHRONOUS, MESSAGES, STARTS_LATER, refuse
from lab.cloud.inherited import INHERITED, check_start
from lab.cloud.network import Network
from lab.cloud.operations import FOREVER

VM_API = {"2026-04-01", "2025-04-01", "2024-11-01", "2024-07-01"}
DISK_API = {"2026-03-02", "2025-01-02", "2024-03-02", "2023-10-02", "2023-04-02"}
GROUP = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute"


class Machine:
    """A machine as the lab's sites see it."""

    def __init__(self, resource: dict[str, Any], disks: list[dict[str, Any]], nic: str) -> None:
        self.resource = resource
        self.disks = disks
        self.nic = nic


class Compute:
    """The compute service. ``on_created`` and ``on_deleted`` notify the sites."""

    def __init__(self, arm: ResourceManager, network: Network) -> None:
        self._arm = arm
        self._network = network
        self.resources: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, Any] = {}
        """The content of a disk or a snapshot, by lower-cased id; the sites interpret it."""
        self.on_snapshot: Callable[[str], Any] = lambda source: self.contents.get(source)
        self.on_created: Callable[[Machine], None] = lambda machine: None
        self.on_deleted: Callable[[str], None] = lambda machine: None
        arm.model_operations()
        for kind, api, put in (
            ("snapshots", DISK_API, self._put_snapshot),
            ("disks", DISK_API, self._put_disk),
            ("virtualMachines", VM_API, self._put_machine),
        ):
            single, listing = f"{GROUP}/{kind}/{{name}}", f"{GROUP}/{kind}"
            arm.model("GET", single, f"Microsoft.Compute/{kind}/read", api, self._get)
            arm.model("GET", listing, f"Microsoft.Compute/{kind}/read", api, self._list)
            everywhere = f"/subscriptions/{{subscription}}/providers/Microsoft.Compute/{kind}"
            arm.model("GET", everywhere, f"Microsoft.Compute/{kind}/read", api, self._list)
            arm.model("PUT", single, f"Microsoft.Compute/{kind}/write", api, put)
            arm.model("DELETE", single, f"Microsoft.Compute/{kind}/delete", api, self._delete)
        machine = f"{GROUP}/virtualMachines/{{name}}"
        view = "Microsoft.Compute/virtualMachines/instanceView/read"
        arm.model("GET", f"{machine}/instanceView", view, VM_API, self._instance_view)

    # Reading

    def find(self, path: str) -> dict[str, Any]:
        found = self.resources.get(path.lower())
        if found is None:
            parts = path.split("/")
            raise not_found(f"Microsoft.Compute/{parts[-2]}", parts[-1], parts[4])
        return found

    async def _get(self, call: Call) -> Answer:
        found = _shown(self.find(call.path))
        if call.query.get("$expand") == "instanceView" and found["type"] == "Microsoft.Compute/virtualMachines":
            found["properties"] = {**found["properties"], "instanceView": self._view(self.find(call.path))}
        return Answer(200, found)

    async def _list(self, call: Call) -> Answer:
        kind = call.path.split("/")[-1].lower()
        group = f"/resourcegroups/{call.names['group']}/".lower() if "group" in call.names else "/"
        found = [r for key, r in self.resources.items() if f"/{kind}/" in key and group in key]
        return Answer(200, {"value": [_shown(r) for r in found]})

    async def _instance_view(self, call: Call) -> Answer:
        return Answer(200, self._view(self.find(call.path.rsplit("/", 1)[0])))

    @staticmethod
    def _view(machine: dict[str, Any]) -> dict[str, Any]:
        state = machine["properties"]["provisioningState"]
        if state == "Failed":
            code = machine["_failure"]
            statuses = [
                status_of(f"ProvisioningState/failed/{code}", "Error", "Provisioning failed", MESSAGES.get(code, code))
            ]
        else:
            word = {"Succeeded": "succeeded", "Creating": "creating", "Updating": "updating"}.get(state, state.lower())
            statuses = [status_of(f"ProvisioningState/{word}", "Info", f"Provisioning {word}")]
        if state == "Succeeded":
            statuses.append(status_of("PowerState/running", "Info", "VM running"))
        moment = machine["properties"]["timeCreated"]
        statuses[0]["time"] = moment
        agent = status_of("ProvisioningState/Unavailable", "Warning", "Not Ready", "The agent has not reported.")
        disks = [
            {
                "name": disk.split("/")[-1],
                "statuses": [status_of("ProvisioningState/succeeded", "Info", "succeeded") | {"time": moment}],
            }
            for disk in machine["_disks"]
        ]
        view = {"vmAgent": {"vmAgentVersion": "Unknown", "statuses": [agent | {"time": moment}]}, "disks": disks}
        return view | {"statuses": statuses}

    # Disks and snapshots

    def place(self, path: str, location: str, content: Any, **properties: Any) -> None:
        """Adds a disk that existed before the lab began."""
        self._add(path, "disks", location, {}, {"creationData": {"createOption": "Empty"}, **properties}, None)
        self.resources[path.lower()]["sku"] = {"name": "Premium_LRS", "tier": "Premium"}
        self._succeed(path)
        self.contents[path.lower()] = content

    def _add(
        self, path: str, kind: str, location: str, tags: dict[str, str], properties: dict[str, Any], zones: Any
    ) -> dict[str, Any]:
        resource: dict[str, Any] = {
            "id": path,
            "name": path.split("/")[-1],
            "type": f"Microsoft.Compute/{kind}",
            "location": location,
            "tags": tags,
            "properties": {
                **properties,
                "diskSizeGB": 128,
                "provisioningState": "Updating",
            },
            "_unique": str(uuid.uuid4()),
        }
        if zones:
            resource["zones"] = zones
        self.resources[path.lower()] = resource
        return resource

    async def _put_snapshot(self, call: Call) -> Answer:
        return await self._copy(call, "snapshots", "disks", "snapshot")

    async def _put_disk(self, call: Call) -> Answer:
        return await self._copy(call, "disks", "snapshots", "disk")

    async def _copy(self, call: Call, kind: str, source_kind: str, duration: str) -> Answer:
        creation = (call.body.get("properties") or {}).get("creationData") or {}
        source = "/" + str(creation.get("sourceResourceId", "")).strip("/")
        if call.path.lower() in self.resources:
            found = self.resources[call.path.lower()]
            if found["properties"]["creationData"].get("sourceResourceId", "").lower() != source.lower():
                raise ArmError(409, "PropertyChangeNotAllowed", "Changing property 'creationData' is not allowed.")
            found["tags"] = call.body.get("tags", found["tags"])
            return Answer(200, _shown(found))
        if creation.get("createOption") != "Copy" or not call.body.get("location"):
            raise ArmError(400, "NotSimulated", f"NotSimulated: PUT {kind} other than a Copy with a location.")
        self._arm.identity.check(call.caller, f"Microsoft.Compute/{source_kind}/read", source)
        # Azure checks the right to the source's content, the linked scope, for a disk made of a snapshot, too.
        # Source: kubernetes/kubernetes#93020, kubernetes-sigs/azuredisk-csi-driver#1711
        self._arm.identity.check(call.caller, "Microsoft.Compute/disks/beginGetAccess/action", source)
        origin = self.find(source)
        if origin["properties"]["provisioningState"] != "Succeeded":
            raise ArmError(409, "Conflict", f"The source {source} is still being made.")
        if call.fault and call.fault.error != "hang":
            raise refuse(call.fault, 1)
        content = self.on_snapshot(source.lower()) if kind == "snapshots" else self.contents.get(source.lower())
        properties = dict(call.body["properties"])
        properties["creationData"] = {
            "createOption": "Copy",
            "sourceResourceId": source,
            "sourceUniqueId": origin["_unique"],
        }
        self._check_key(call, properties)
        inherited = {key: origin["properties"][key] for key in INHERITED if key in origin["properties"]}
        properties = inherited | properties
        if kind == "snapshots":
            properties.setdefault("incremental", False)
            if properties["incremental"]:
                properties |= {"incrementalSnapshotFamilyId": origin["_unique"], "snapshotAccessState": "Available"}
        resource = self._add(
            call.path, kind, call.body["location"], call.body.get("tags") or {}, properties, call.body.get("zones")
        )
        sku = (call.body.get("sku") or {}).get("name", "Standard_LRS")
        resource["sku"] = {"name": sku, "tier": sku.split("_")[0]}
        self.contents[call.path.lower()] = content
        times = self._arm.times
        seconds = FOREVER if call.fault else times.of(duration, call.path)
        operation = self._arm.operations.begin(duration, call.path, seconds, lambda: self._succeed(call.path))
        version = call.query["api-version"]
        headers = self._arm.operation_headers(operation, resource["location"], version, "diskOperations")
        return Answer(202, _shown(resource), headers)

    def _check_key(self, call: Call, properties: dict[str, Any]) -> None:
        """A disk that is encrypted with a key of the customer's own needs the right to read that key's set."""
        if key := (properties.get("encryption") or {}).get("diskEncryptionSetId"):
            self._arm.identity.check(call.caller, "Microsoft.Compute/diskEncryptionSets/read", key)

    def _succeed(self, path: str) -> Any:
        resource = self.resources.get(path.lower())
        if resource is None:
            return None
        resource["properties"] |= {
            "provisioningState": "Succeeded",
            "timeCreated": self._arm.clock.wall(self._arm.clock.now).isoformat(),
            "uniqueId": resource["_unique"],
            "diskState": "Unattached",
            "diskSizeBytes": resource["properties"]["diskSizeGB"] * 2**30,
        }
        resource["properties"].setdefault("encryption", {"type": "EncryptionAtRestWithPlatformKey"})
        return _shown(resource)

    # Machines

    async def _put_machine(self, call: Call) -> Answer:
        existing = self.resources.get(call.path.lower())
        if existing and call.headers.get("If-None-Match") == "*":
            raise ArmError(412, "PreconditionFailed", "The resource exists, and If-None-Match: * was asked for.")
        properties = call.body.get("properties") or {}
        storage = properties.get("storageProfile") or {}
        os_disk = storage.get("osDisk") or {}
        if os_disk.get("createOption") != "Attach" or "osProfile" in properties or "imageReference" in storage:
            raise ArmError(400, "NotSimulated", "NotSimulated: PUT virtualMachines other than from attached disks.")
        if not call.body.get("location"):
            raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
        if existing and existing["properties"]["provisioningState"] in ("Creating", "Updating", "Deleting"):
            raise ArmError(409, "Conflict", "Another operation is in progress on this machine.")
        disks = [d["managedDisk"]["id"] for d in [os_disk, *storage.get("dataDisks", [])]]
        for disk in disks:
            self._free_for(disk, call.path)
            if self.find(disk).get("zones", []) != call.body.get("zones", []):
                raise ArmError(400, "BadRequest", f"Disk {disk} cannot be attached: it is not in the machine's zone.")
        check_start(self.find(os_disk["managedDisk"]["id"])["properties"], call.body)
        nics = [n["id"] for n in (properties.get("networkProfile") or {}).get("networkInterfaces", [])]
        if len(nics) != 1:
            raise ArmError(400, "InvalidParameter", "The lab models machines with exactly one network interface.")
        self._arm.identity.check(call.caller, "Microsoft.Network/networkInterfaces/join/action", nics[0])
        self._network.take(nics[0], call.path)
        later = call.fault is not None and (call.fault.later or call.fault.error in ASYNCHRONOUS)
        if call.fault and not later and call.fault.error != "hang":
            if not existing:
                self._network.give_back(nics[0], call.path)
            raise refuse(call.fault, 1)
        machine = {
            "id": call.path,
            "name": call.names["name"],
            "type": "Microsoft.Compute/virtualMachines",
            "location": call.body["location"],
            "tags": call.body.get("tags") or {},
            "etag": f'"{uuid.uuid4()}"',
            "properties": {
                **properties,
                "storageProfile": self._storage_view(storage),
                "vmId": existing["properties"]["vmId"] if existing else str(uuid.uuid4()),
                "provisioningState": "Updating" if existing else "Creating",
                "timeCreated": self._arm.clock.wall(self._arm.clock.now).isoformat(),
            },
            "_nic": nics[0],
            "_disks": disks,
        }
        if call.body.get("zones"):
            machine["zones"] = call.body["zones"]
        self.resources[call.path.lower()] = machine
        for disk in existing["_disks"] if existing else []:
            if disk not in disks:
                self._release(disk)
        for disk in disks:
            self._attach(disk, call.path)
        return self._run_create(call, machine, 200 if existing else 201)

    def _storage_view(self, storage: dict[str, Any]) -> dict[str, Any]:
        """Azure's additions to the disks of a machine in a response."""

        def view(disk: dict[str, Any]) -> dict[str, Any]:
            found = self.find(disk["managedDisk"]["id"])
            managed = {"id": found["id"], "storageAccountType": found["sku"]["name"]}
            added = {"name": found["name"], "caching": "ReadWrite" if "osType" in disk else "None", "diskSizeGB": 128}
            return added | disk | {"managedDisk": managed}

        return {"osDisk": view(storage["osDisk"]), "dataDisks": [view(d) for d in storage.get("dataDisks", [])]}

    def _free_for(self, disk: str, machine: str) -> None:
        found = self.find(disk)
        holder = found.get("managedBy", machine)
        if holder.lower() != machine.lower():
            raise ArmError(409, "ConflictingUserInput", f"Disk {found['name']} is attached to {holder}.")
        if found["properties"]["provisioningState"] != "Succeeded":
            raise ArmError(409, "Conflict", f"Disk {found['name']} is still being made.")

    def _attach(self, disk: str, machine: str) -> None:
        found = self.find(disk)
        found["managedBy"] = machine
        found["properties"]["diskState"] = "Attached"

    def _release(self, disk: str) -> None:
        if found := self.resources.get(disk.lower()):
            found.pop("managedBy", None)
            found["properties"]["diskState"] = "Unattached"

    def _run_create(self, call: Call, machine: dict[str, Any], status: int) -> Answer:
        fault, times = call.fault, self._arm.times
        error = None
        seconds = times.of("machine", call.path)
        if fault and fault.error == "hang":
            seconds = FOREVER
        elif fault:
            error = {"code": fault.error, "message": fault.message or MESSAGES.get(fault.error, fault.error)}
            seconds /= 3

        def complete() -> Any:
            if self.resources.get(call.path.lower()) is not machine:
                return None
            machine["properties"]["provisioningState"] = "Failed" if error else "Succeeded"
            if error:
                machine["_failure"] = error["code"]
            if error and error["code"] not in STARTS_LATER:
                self._network.reserve(machine["_nic"], call.path, times.nic_reserved)
                return None
            contents = [{"id": d, "content": self.contents.get(d.lower())} for d in machine["_disks"]]
            self.on_created(Machine(machine, contents, machine["_nic"]))
            return None if error else _shown(machine)

        operation = self._arm.operations.begin("machine", call.path, seconds, complete, error)
        headers = self._arm.operation_headers(operation, machine["location"], call.query["api-version"], "operations")
        return Answer(status, _shown(machine), headers)

    # Deleting

    async def _delete(self, call: Call) -> Answer:
        resource = self.resources.get(call.path.lower())
        if resource is None:
            return Answer(204)
        kind = call.path.split("/")[-2].lower()
        if resource.get("managedBy"):
            raise ArmError(
                409,
                "OperationNotAllowed",
                f"Disk {resource['name']} is attached to VM {resource['managedBy']}.",
            )
        if call.fault and call.fault.error != "hang":
            raise refuse(call.fault, 1)
        if resource["properties"]["provisioningState"] == "Deleting":
            return Answer(202, None, resource["_deleting"])
        resource["properties"]["provisioningState"] = "Deleting"
        machine = kind == "virtualmachines"
        if machine:
            self.on_deleted(call.path)
        times = self._arm.times
        seconds = times.of("delete_machine" if machine else "delete_disk", call.path)
        if call.fault:
            seconds = FOREVER

        def complete() -> None:
            self.resources.pop(call.path.lower(), None)
            self.contents.pop(call.path.lower(), None)
            for disk in resource.get("_disks", []):
                self._release(disk)
            if machine:
                self._network.give_back(resource["_nic"], call.path)

        operation = self._arm.operations.begin(f"delete {kind}", call.path, seconds, complete)
        operations = "operations" if machine else "diskOperations"
        headers = self._arm.operation_headers(operation, resource["location"], call.query["api-version"], operations)
        resource["_deleting"] = headers
        return Answer(202, None, headers)

    def place_machine(self, path: str, location: str, disks: Iterable[str] = ()) -> None:
        """Adds a machine that existed before the lab began: the replication machine with its replica disks."""
        attached = [
            {"lun": lun, "createOption": "Attach", "managedDisk": {"id": disk}} for lun, disk in enumerate(disks)
        ]
        self.resources[path.lower()] = {
            "id": path,
            "name": path.split("/")[-1],
            "type": "Microsoft.Compute/virtualMachines",
            "location": location,
            "tags": {},
            "properties": {
                "vmId": str(uuid.uuid4()),
                "provisioningState": "Succeeded",
                "timeCreated": self._arm.clock.wall(self._arm.clock.now).isoformat(),
                "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
                "storageProfile": {"dataDisks": attached},
            },
            "_nic": "",
            "_disks": [],
        }


def _shown(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if not name.startswith("_")}


def status_of(code: str, level: str, display: str, message: str = "") -> dict[str, str]:
    return {"code": code, "level": level, "displayStatus": display, "message": message}
