"""What the region offers: sizes with their capabilities, and the subscription's quotas.

Source: Azure/azure-rest-api-specs, Microsoft.Compute, Skus_List and Usage_List examples.
"""

from __future__ import annotations

import re
from typing import Any

from lab.cloud.arm import Answer, Call, ResourceManager
from lab.cloud.compute import VM_API, Compute

_SKU_API = {"2021-07-01", "2019-04-01"}


class Catalog:
    """The plan's sizes are offered, and the quotas are generous, until a test says otherwise."""

    def __init__(self, arm: ResourceManager, compute: Compute, location: str, sizes: set[str]) -> None:
        self._compute = compute
        self._location = location
        self.sizes = set(sizes)
        self.restricted: set[str] = set()
        self.capabilities: dict[str, dict[str, str]] = {}
        """Changes of a size's capabilities, by its name."""
        self.limits: dict[str, int] = {}
        """Limits that differ from the usual, by family; ``cores`` is the region's total."""
        subscription = "/subscriptions/{subscription}/providers/Microsoft.Compute"
        arm.model("GET", f"{subscription}/skus", "Microsoft.Compute/skus/read", _SKU_API, self._skus)
        arm.model(
            "GET",
            f"{subscription}/locations/{{location}}/usages",
            "Microsoft.Compute/locations/usages/read",
            VM_API,
            self._usages,
        )

    async def _skus(self, call: Call) -> Answer:
        return Answer(200, {"value": [self._sku(size) for size in sorted(self.sizes)]})

    def _sku(self, size: str) -> dict[str, Any]:
        usual = {
            "vCPUs": str(_cores(size)),
            "PremiumIO": "True" if "s_" in size.lower() else "False",
            "HyperVGenerations": "V1,V2",
            "MaxDataDiskCount": str(_cores(size) * 2),
        }
        reason = {"type": "Location", "values": [self._location], "reasonCode": "NotAvailableForSubscription"}
        return {
            "resourceType": "virtualMachines",
            "name": size,
            "tier": "Standard",
            "size": size.removeprefix("Standard_"),
            "family": _family(size),
            "locations": [self._location],
            "capabilities": [
                {"name": name, "value": value} for name, value in (usual | self.capabilities.get(size, {})).items()
            ],
            "restrictions": [reason] if size in self.restricted else [],
        }

    async def _usages(self, call: Call) -> Answer:
        running = [
            str(machine["properties"]["hardwareProfile"]["vmSize"])
            for key, machine in self._compute.resources.items()
            if "/virtualmachines/" in key and "hardwareProfile" in machine["properties"]
        ]
        used: dict[str, int] = {"cores": 0} | {_family(size): 0 for size in self.sizes}
        for size in running:
            used["cores"] += _cores(size)
            used[_family(size)] = used.get(_family(size), 0) + _cores(size)
        value = [
            {
                "unit": "Count",
                "currentValue": count,
                "limit": self.limits.get(family, 100),
                "name": {"value": family, "localizedValue": family},
            }
            for family, count in used.items()
        ]
        return Answer(200, {"value": value})


def _cores(size: str) -> int:
    found = re.search(r"[A-Z](\d+)", size)
    return int(found[1]) if found else 2


def _family(size: str) -> str:
    """``Standard_D4s_v5`` is of ``standardDSv5Family``."""
    found = re.fullmatch(r"(?:Standard|Basic)_([A-Z]+)\d+([a-z]*)_?(v\d+)?", size)
    return f"standard{found[1]}{found[2].upper()}{found[3] or ''}Family" if found else "standardOtherFamily"
