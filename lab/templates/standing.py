"""The resources in Azure before anything happens: read from ``infra/``'s templates, as a deployment creates them.

The reference architecture comes whole from ``infra/contoso.parameters.json``. What another plan names beyond that is
placed as the plan says. The permissions always come from the templates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lab.cloud.identity import Grant
from lab.cloud.traffic_manager import EndpointState, MonitorConfig
from lab.templates.bicep import Deployment, Resource, evaluate, read_parameters
from shared.models.plan import Purpose, RecoveryPlan
from shared.models.resource_ids import take_apart

INFRA = Path(__file__).parents[2] / "infra"
ROLES: tuple[Purpose, ...] = ("failover", "drill")
SECRETS = dict.fromkeys(("sqlProbe", "notifyUrl", "vpnSharedKey", "replicaPassword"), "asked at the deployment")


@dataclass
class Standing:
    """Disks and interfaces by id, the replication machine, the Traffic Manager profile."""

    location: str
    machine: str
    profile: str
    hostname: str
    ttl: float = 60.0
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    endpoints: list[EndpointState] = field(default_factory=list)
    disks: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The workload and the label of each."""
    interfaces: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The address and the subnet of each."""


@cache
def deployment(name: str, subscription: str) -> Deployment | None:
    """What ``infra/NAME.parameters.json`` would deploy into a subscription, or None where there is no such file."""
    file = INFRA / f"{name}.parameters.json"
    if not file.is_file():
        return None
    return evaluate(INFRA / "main.bicep", read_parameters(file) | SECRETS, f"/subscriptions/{subscription}")


def grants_of(plan: RecoveryPlan) -> list[Grant]:
    """The rights that a plan's deployment gives."""
    return grants(plan.recovery.resource_group, plan.replication.machine, plan.traffic.profile)


def grants(recovery: str, replica: str, profile: str) -> list[Grant]:
    """The rights of the identity for recovery actions, as ``permissions.bicep`` grants them for these scopes."""
    edge = take_apart(profile)
    parameters = {
        "environmentName": "lab",
        "token": "letters",
        "principalId": "the app",
        "recoveryGroupName": take_apart(recovery).group,
        "replicaGroupName": take_apart(replica).group,
        "edgeGroupName": edge.group,
        "profileName": edge.name,
    }
    made = evaluate(INFRA / "coldsite" / "permissions.bicep", parameters, f"/subscriptions/{edge.subscription}")
    return assigned(made, "the app")


def assigned(made: Deployment, principal: str) -> list[Grant]:
    """The custom roles that a deployment gives to one identity."""
    found = []
    for assignment in made.of_type("Microsoft.Authorization/roleAssignments"):
        assigned_to = assignment.body["properties"]
        role = made.resources.get(str(assigned_to["roleDefinitionId"]).lower())
        if assigned_to["principalId"] == principal and role is not None:
            actions = tuple(a for permission in role.body["properties"]["permissions"] for a in permission["actions"])
            found.append(Grant(assignment.id.rpartition("/providers/")[0], actions))
    return found


def standing(plan: RecoveryPlan) -> Standing:
    """The resources before a plan is run.

    Where the plan has templates, it stands on what they make and on nothing else, so that a name that does not line up
    is found missing; only workloads that the templates do not know are placed as the plan says. Without templates the
    plan says everything.
    """
    terms, traffic = plan.recovery, plan.traffic
    made = deployment(plan.name, take_apart(terms.resource_group).subscription)
    if made:
        found, known = _deployed(made), {workload["name"] for workload in made.outputs["COLDSITE_SITE"]["workloads"]}
        kinds = {place.endpoint: place.type for place in (traffic.primary, traffic.recovery)}
        for endpoint in found.endpoints:  # A plan may be tried with another kind of endpoint.
            endpoint.kind = kinds.get(endpoint.name, endpoint.kind)
    else:
        found, known = Standing(terms.location, plan.replication.machine, traffic.profile, traffic.hostname), set()
        found.endpoints = [
            EndpointState(traffic.primary.endpoint, traffic.primary.type, "", 1, enabled=True),
            EndpointState(traffic.recovery.endpoint, traffic.recovery.type, "", 2, enabled=False),
        ]
    for name in terms.workloads.keys() - known:
        workload = terms.workloads[name]
        found.disks |= {disk: (name, label) for label, disk in plan.workload_disks(name)}
        for role in ROLES:
            nic = workload.nic.of(role)
            subnet = f"{nic.rsplit('/', 2)[0]}/virtualNetworks/{role}/subnets/machines"
            found.interfaces[nic] = (workload.address.of(role), subnet)
    return found


def _deployed(made: Deployment) -> Standing:
    site: dict[str, Any] = made.outputs["COLDSITE_SITE"]
    profile = made.resources[site["traffic"]["profile"].lower()]
    properties = profile.body["properties"]
    watch = properties["monitorConfig"]
    return Standing(
        location=site["location"],
        machine=site["replication"]["machine"],
        profile=profile.id,
        hostname=f"{properties['dnsConfig']['relativeName']}.trafficmanager.net",
        ttl=float(properties["dnsConfig"]["ttl"]),
        monitor=MonitorConfig(
            interval=watch["intervalInSeconds"],
            timeout=watch["timeoutInSeconds"],
            tolerated=watch["toleratedNumberOfFailures"],
            path=watch["path"],
            host=next(header["value"] for header in watch["customHeaders"] if header["name"] == "host"),
        ),
        endpoints=[_endpoint(endpoint) for endpoint in properties["endpoints"]],
        disks={disk["id"]: (disk["workload"], _label(disk)) for disk in site["disks"]},
        interfaces=dict(_interface(nic) for nic in made.of_type("Microsoft.Network/networkInterfaces")),
    )


def _endpoint(endpoint: dict[str, Any]) -> EndpointState:
    properties = endpoint["properties"]
    kind = endpoint["type"].rpartition("/")[2]
    return EndpointState(
        endpoint["name"], kind, "", properties["priority"], enabled=properties["endpointStatus"] == "Enabled"
    )


def _label(disk: dict[str, Any]) -> str:
    """As recovery names it: the system disk, or a data disk by its place."""
    return "os" if disk["label"] == "os" else f"data{disk['lun']}"


def _interface(nic: Resource) -> tuple[str, tuple[str, str]]:
    properties = nic.body["properties"]["ipConfigurations"][0]["properties"]
    return nic.id, (properties["privateIPAddress"], properties["subnet"]["id"])
