"""What the recovery region offers: network interfaces, sizes with their capabilities, quotas, the profile,
what Coldsite may do there.
"""

from __future__ import annotations

from typing import Any

from azure.core.rest import HttpRequest

from shared.azure import clients
from shared.azure.traffic_manager import word_of
from shared.models.plan import Traffic
from shared.models.readiness import InterfaceView, ProfileView, Quota, Rights, SizeView
from shared.models.resource_ids import take_apart

_NETWORK_API = "2024-05-01"
_RIGHTS_API = "2022-04-01"


async def interfaces(group: str) -> dict[str, InterfaceView]:
    """The network interfaces of a resource group, by id in lower case. Raises azure-core's errors."""
    client = clients.compute(take_apart(group).subscription)
    url: str | None = f"{group}/providers/Microsoft.Network/networkInterfaces?api-version={_NETWORK_API}"
    found: dict[str, InterfaceView] = {}
    while url:
        response = await client.send_request(HttpRequest("GET", url))
        response.raise_for_status()
        body = response.json()
        for nic in body.get("value", []):
            properties = nic.get("properties", {})
            configurations: list[dict[str, Any]] = properties.get("ipConfigurations") or []
            first = configurations[0].get("properties", {}) if configurations else {}
            found[str(nic["id"]).lower()] = InterfaceView(
                address=str(first.get("privateIPAddress") or ""),
                machine=(properties.get("virtualMachine") or {}).get("id"),
                location=str(nic.get("location") or ""),
                dns_servers=[str(server) for server in (properties.get("dnsSettings") or {}).get("dnsServers") or []],
            )
        url = body.get("nextLink")
    return found


async def sizes(subscription: str, location: str) -> dict[str, SizeView]:
    """The sizes of machines in a region, by name in lower case.

    Source: Azure/azure-rest-api-specs, Microsoft.Compute, Skus_List (capabilities by name, restrictions by reason).
    """
    found: dict[str, SizeView] = {}
    async for sku in clients.compute(subscription).resource_skus.list(filter=f"location eq '{location}'"):
        if sku.resource_type != "virtualMachines" or not sku.name:
            continue
        can = {str(capability.name): str(capability.value) for capability in sku.capabilities or []}
        wholly = [restriction for restriction in sku.restrictions or [] if word_of(restriction.type) == "Location"]
        found[sku.name.lower()] = SizeView(
            family=sku.family or "",
            cores=int(can.get("vCPUs", "0")),
            restricted=word_of(wholly[0].reason_code) if wholly else None,
            premium=can.get("PremiumIO", "False") == "True",
            generations=can.get("HyperVGenerations", "V1").split(","),
            data_disks=int(can.get("MaxDataDiskCount", "0")),
        )
    return found


async def quotas(subscription: str, location: str) -> dict[str, Quota]:
    """Cores in use and their limits, by family in lower case; ``cores`` is the region's total."""
    return {
        str(usage.name.value).lower(): Quota(used=usage.current_value, limit=usage.limit)
        async for usage in clients.compute(subscription).usage.list(location)
        if usage.name.value
    }


async def profile(traffic: Traffic) -> ProfileView:
    """The Traffic Manager profile. Unset fields of its probe have Azure's defaults: 30 s, 10 s, 3 failures.

    Source: MicrosoftDocs/azure-docs:articles/traffic-manager/traffic-manager-monitoring.md
    """
    place = take_apart(traffic.profile)
    found = await clients.traffic(place.subscription).profiles.get(place.group, place.name)
    properties = found.properties
    dns, probe = (properties.dns_config, properties.monitor_config) if properties else (None, None)
    interval = (probe.interval_in_seconds if probe else None) or 30
    timeout = (probe.timeout_in_seconds if probe else None) or 10
    tolerated = probe.tolerated_number_of_failures if probe else None
    failures = (3 if tolerated is None else tolerated) + 1
    return ProfileView(
        ttl=dns.ttl if dns else None,
        routing_method=word_of(properties.traffic_routing_method if properties else None),
        notices_after=interval * failures + timeout,
    )


async def rights(place: str) -> list[Rights]:
    """What the roles of Coldsite's identity grant at a resource group or a resource, with those from above.

    Source: Azure/azure-rest-api-specs, Microsoft.Authorization, Permissions_ListForResource and ...ForResourceGroup.
    """
    client = clients.compute(take_apart(place).subscription)
    url: str | None = f"{place}/providers/Microsoft.Authorization/permissions?api-version={_RIGHTS_API}"
    found: list[Rights] = []
    while url:
        response = await client.send_request(HttpRequest("GET", url))
        response.raise_for_status()
        body = response.json()
        found += [
            Rights(actions=rights.get("actions") or [], not_actions=rights.get("notActions") or [])
            for rights in body.get("value", [])
        ]
        url = body.get("nextLink")
    return found
