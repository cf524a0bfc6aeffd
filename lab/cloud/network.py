"""Network interfaces: they exist before any machine, fix its address, and belong to one machine at a time."""

from __future__ import annotations

import copy
from typing import Any

from lab.clock import Clock
from lab.cloud.arm import Answer, Call, ResourceManager
from lab.cloud.errors import ArmError, not_found
from lab.cloud.identity import APP
from lab.plan_copy import loopback

API = {"2025-05-01", "2024-07-01", "2024-05-01", "2023-11-01", "2022-01-01"}


class Network:
    """The interfaces by lower-cased id."""

    def __init__(self, arm: ResourceManager) -> None:
        self._clock: Clock = arm.clock
        self._nics: dict[str, dict[str, Any]] = {}
        self._reserved: dict[str, tuple[str, float]] = {}
        group = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network"
        everywhere = "/subscriptions/{subscription}/providers/Microsoft.Network/networkInterfaces"
        read = "Microsoft.Network/networkInterfaces/read"
        arm.model("GET", f"{group}/networkInterfaces/{{name}}", read, API, self._get)
        arm.model("GET", f"{group}/networkInterfaces", read, API, self._list)
        arm.model("GET", everywhere, read, API, self._list)

    def place(self, path: str, location: str, address: str, subnet: str) -> None:
        """Adds an interface that existed before the lab began."""
        name = path.split("/")[-1]
        self._nics[path.lower()] = {
            "id": path,
            "name": name,
            "type": "Microsoft.Network/networkInterfaces",
            "location": location,
            "properties": {
                "provisioningState": "Succeeded",
                "enableAcceleratedNetworking": False,
                "enableIPForwarding": False,
                "primary": True,
                "macAddress": "00-0D-3A-1B-C7-21",
                "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
                "ipConfigurations": [
                    {
                        "name": "primary",
                        "id": f"{path}/ipConfigurations/primary",
                        "properties": {
                            "provisioningState": "Succeeded",
                            "privateIPAddress": address,
                            "privateIPAllocationMethod": "Static",
                            "privateIPAddressVersion": "IPv4",
                            "primary": True,
                            "subnet": {"id": subnet},
                        },
                    }
                ],
            },
        }

    def _find(self, path: str) -> dict[str, Any]:
        found = self._nics.get(path.lower())
        if found is None:
            parts = path.split("/")
            raise not_found("Microsoft.Network/networkInterfaces", parts[-1], parts[4])
        return found

    async def _list(self, call: Call) -> Answer:
        group = f"/resourcegroups/{call.names['group']}/".lower() if "group" in call.names else "/"
        return Answer(
            200, {"value": [_as_seen_by(call.caller, nic) for key, nic in self._nics.items() if group in key]}
        )

    async def _get(self, call: Call) -> Answer:
        return Answer(200, _as_seen_by(call.caller, self._find(call.path)))

    def take(self, path: str, machine: str) -> None:
        """Gives the interface to a machine. Raises ``ArmError`` when another has it, or had it and failed."""
        nic = self._find(path)
        holder = nic["properties"].get("virtualMachine", {}).get("id", machine)
        if holder.lower() != machine.lower():
            raise ArmError(409, "NicInUse", f"Network Interface {path} is used by existing resource {holder}.")
        owner, until = self._reserved.get(path.lower(), (machine, 0.0))
        if owner.lower() != machine.lower() and self._clock.ticks < until:
            raise ArmError(
                409,
                "NicReservedForAnotherVm",
                f"Nic(s) in request is reserved for another Virtual Machine for 180 seconds. NIC {path} is reserved "
                f"for {owner}.",
            )
        nic["properties"]["virtualMachine"] = {"id": machine}

    def give_back(self, path: str, machine: str) -> None:
        nic = self._nics.get(path.lower())
        if nic and nic["properties"].get("virtualMachine", {}).get("id", "").lower() == machine.lower():
            nic["properties"].pop("virtualMachine")

    def reserve(self, path: str, machine: str, seconds: float) -> None:
        """After a failed create, the interface stays reserved for that machine."""
        self._reserved[path.lower()] = (machine, self._clock.ticks + seconds)


def _as_seen_by(caller: str, nic: dict[str, Any]) -> dict[str, Any]:
    """The app's plan names each address by its twin on this machine; people see the address itself."""
    if caller != APP:
        return nic
    shown = copy.deepcopy(nic)
    for configuration in shown["properties"]["ipConfigurations"]:
        configuration["properties"]["privateIPAddress"] = loopback(configuration["properties"]["privateIPAddress"])
    return shown
