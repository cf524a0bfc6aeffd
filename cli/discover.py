"""The resources in a subscription that a recovery plan can use. Read-only, through the same SDKs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.rest import HttpRequest
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.trafficmanager import TrafficManagerManagementClient

from shared import settings
from shared.models.resource_ids import take_apart

NETWORK_API = "2024-05-01"
_ENDPOINTS = ("externalEndpoints", "azureEndpoints")
"""Kinds of endpoint that a plan can name; a nested profile has no address of its own."""


@dataclass(frozen=True)
class FoundEndpoint:
    name: str
    type: str
    target: str
    enabled: bool


@dataclass(frozen=True)
class Profile:
    """A Traffic Manager profile with those of its endpoints that a plan can name, in the order of their priority.

    ``secure`` is whether its probes speak TLS; ``host`` is the name that they ask for, by the profile or an endpoint.
    """

    id: str
    hostname: str
    path: str
    host: str
    secure: bool
    endpoints: tuple[FoundEndpoint, ...]


@dataclass(frozen=True)
class Disk:
    id: str
    system: str | None
    """The operating system on the disk, or None for a data disk."""
    generation: str


@dataclass(frozen=True)
class Interface:
    id: str
    address: str
    subnet: str
    taken: bool

    @property
    def network(self) -> str:
        return self.subnet.rpartition("/subnets/")[0]


@dataclass(frozen=True)
class Found:
    """``replicas`` are the disks by the machine to which they are attached, as on Double-Take's target."""

    profiles: tuple[Profile, ...]
    replicas: dict[str, tuple[Disk, ...]]
    interfaces: tuple[Interface, ...]
    locations: dict[str, str]


def discover(subscription: str, credential: TokenCredential) -> Found:
    """Reads profiles, machines with data disks, and interfaces. Raises azure-core's errors."""
    options: dict[str, Any] = {
        "base_url": settings.resource_manager(),
        "credential_scopes": [f"{settings.resource_manager_audience()}/.default"],
    }
    with (
        ComputeManagementClient(credential, subscription, **options) as compute,
        TrafficManagerManagementClient(credential, subscription, **options) as traffic,
    ):
        disks = {str(disk.id).lower(): disk for disk in compute.disks.list()}
        machines = list(compute.virtual_machines.list_all())
        return Found(
            tuple(_profile(profile) for profile in traffic.profiles.list_by_subscription()),
            {str(machine.id): attached for machine in machines if (attached := tuple(_attached(machine, disks)))},
            tuple(_interfaces(compute, subscription)),
            {str(machine.id): str(machine.location) for machine in machines},
        )


def _attached(machine: Any, disks: dict[str, Any]) -> Iterator[Disk]:
    """The data disks of a machine. Those of a system are system disks of other machines: a replica's."""
    storage = machine.properties.storage_profile if machine.properties else None
    for place in (storage.data_disks if storage else None) or []:
        disk = disks.get(str(place.managed_disk.id).lower()) if place.managed_disk else None
        if disk is not None:
            properties = disk.properties
            system = _word(properties.os_type) if properties.os_type else None
            yield Disk(str(disk.id), system, _word(properties.hyper_v_generation or "V2"))


def _word(value: Any) -> str:
    """An enumeration's value."""
    return str(getattr(value, "value", value))


def _profile(profile: Any) -> Profile:
    properties = profile.properties
    monitor = properties.monitor_config
    ordered = sorted(properties.endpoints or [], key=lambda endpoint: endpoint.properties.priority or 0)
    usable = [endpoint for endpoint in ordered if str(endpoint.type).rpartition("/")[2] in _ENDPOINTS]
    hosts = [_host_header(place) for place in (*(endpoint.properties for endpoint in usable), monitor) if place]
    return Profile(
        id=str(profile.id),
        hostname=str(properties.dns_config.fqdn),
        path=str(monitor.path if monitor and monitor.path else "/"),
        host=next(filter(None, hosts), ""),
        secure=not monitor or _word(monitor.protocol or "HTTPS") == "HTTPS",
        endpoints=tuple(
            FoundEndpoint(
                str(endpoint.name),
                str(endpoint.type).rpartition("/")[2],
                str(endpoint.properties.target or ""),
                endpoint.properties.endpoint_status == "Enabled",
            )
            for endpoint in usable
        ),
    )


def _host_header(place: Any) -> str:
    """The host that Traffic Manager's probes ask for; an endpoint's own header overrides its profile's."""
    headers = {str(header.name).lower(): str(header.value) for header in place.custom_headers or []}
    return headers.get("host", "")


def _interfaces(compute: Any, subscription: str) -> Iterator[Interface]:
    """azure-mgmt-network is a large package for one read; the pipeline of another client asks as well."""
    url = (
        f"{settings.resource_manager()}/subscriptions/{subscription}/providers/Microsoft.Network/networkInterfaces"
        f"?api-version={NETWORK_API}"
    )
    while url:
        answer = compute.send_request(HttpRequest("GET", url))
        answer.raise_for_status()
        page = answer.json()
        for nic in page["value"]:
            if found := _interface(nic):
                yield found
        url = page.get("nextLink", "")


def _interface(nic: dict[str, Any]) -> Interface | None:
    """An interface with its IPv4 address; None for one that has none, which no machine can be put on.

    The interfaces of private endpoints and link services belong to these and are never free.
    """
    properties = nic.get("properties") or {}
    places = [configuration.get("properties") or {} for configuration in properties.get("ipConfigurations") or []]
    usable = [
        place
        for place in places
        if place.get("privateIPAddressVersion", "IPv4") == "IPv4"
        and place.get("privateIPAddress")
        and (place.get("subnet") or {}).get("id")
    ]
    place = next((candidate for candidate in usable if candidate.get("primary")), next(iter(usable), None))
    if place is None:
        return None
    taken = any(properties.get(owner) for owner in ("virtualMachine", "privateEndpoint", "privateLinkService"))
    return Interface(nic["id"], place["privateIPAddress"], place["subnet"]["id"], taken)


@dataclass(frozen=True)
class FoundMachine:
    """A machine to recover, derived from its disks and interfaces."""

    name: str
    system: Disk
    data: tuple[Disk, ...]
    failover: Interface
    drill: Interface

    @property
    def is_database(self) -> bool:
        return bool(re.search(r"sql|db|database", self.name))


class UnclearError(Exception):
    """The resources do not suffice for a plan; ``problems`` lists what is missing, one line each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def machines_of(disks: tuple[Disk, ...], interfaces: tuple[Interface, ...]) -> list[FoundMachine]:
    """Groups a replica's disks into machines by their names, and finds each machine's two interfaces.

    ``dt-sql-os`` and ``dt-sql-data`` belong to ``sql``, whose interfaces are ``sql-failover`` and ``sql-drill``.
    Raises ``UnclearError`` with every mismatch.
    """
    by_name = {take_apart(nic.id).name.lower(): nic for nic in interfaces if not nic.taken}
    problems, found = [], []
    for name, group in _groups(disks).items():
        systems = [disk for disk in group if disk.system]
        nics = [by_name.get(f"{name}-{role}") for role in ("failover", "drill")]
        if len(systems) != 1:
            problems.append(f"{name}: {len(systems)} of its disks hold an operating system; exactly one must.")
        missing = [f"{name}-{role}" for role, nic in zip(("failover", "drill"), nics, strict=True) if nic is None]
        problems += [
            f"There is no free network interface {nic_name}; infra/site/interfaces.bicep creates such interfaces."
            for nic_name in missing
        ]
        if len(systems) == 1 and nics[0] and nics[1]:
            data = tuple(disk for disk in group if not disk.system)
            found.append(FoundMachine(name, systems[0], data, nics[0], nics[1]))
    if problems:
        raise UnclearError(problems)
    return sorted(found, key=lambda machine: not machine.is_database)


def _groups(disks: tuple[Disk, ...]) -> dict[str, list[Disk]]:
    groups: dict[str, list[Disk]] = {}
    for disk in disks:
        name = re.sub(r"^(dt|doubletake|replica)-", "", take_apart(disk.id).name.lower())
        groups.setdefault(re.sub(r"-(os|system|data|log|logs|disk)?-?[0-9]*$", "", name), []).append(disk)
    return groups
