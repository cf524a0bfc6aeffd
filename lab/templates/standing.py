"""What stands in Azure before anything happens: read from ``infra/``'s templates, as a deployment would make it.

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
from shared.cloud.ids import take_apart
from shared.plan import RecoveryPlan

INFRA = Path(__file__).parents[2] / "infra"
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


def grants(recovery: str, replica: str, profile: str) -> list[Grant]:
    """What the identity for recovery actions may do, as ``permissions.bicep`` grants it for these places."""
    edge = take_apart(profile)
    parameters = {
        "environmentName": "lab",
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
        said = assignment.body["properties"]
        role = made.resources.get(str(said["roleDefinitionId"]).lower())
        if said["principalId"] == principal and role is not None:
            actions = tuple(a for one in role.body["properties"]["permissions"] for a in one["actions"])
            found.append(Grant(assignment.id.rpartition("/providers/")[0], actions))
    return found


def standing(plan: RecoveryPlan) -> Standing:
    """What stands before a plan is run: from its templates where it has any, else from the plan."""
    terms, traffic = plan.recovery, plan.traffic
    made = deployment(plan.name, take_apart(terms.resource_group).subscription)
    found = _deployed(made) if made else None
    if found is None or found.profile.lower() != traffic.profile.lower():
        found = Standing(terms.location, plan.replication.machine, traffic.profile, traffic.hostname)
    wanted = [(one.endpoint, one.type) for one in (traffic.primary, traffic.recovery)]
    if [(one.name, one.kind) for one in found.endpoints] != wanted:
        found.endpoints = [
            EndpointState(traffic.primary.endpoint, traffic.primary.type, "", 1, enabled=True),
            EndpointState(traffic.recovery.endpoint, traffic.recovery.type, "", 2, enabled=False),
        ]
    known = {path.lower() for path in (*found.disks, *found.interfaces)}
    for name, workload in terms.workloads.items():
        for label, disk in plan.workload_disks(name):
            if disk.lower() not in known:
                found.disks[disk] = (name, label)
        for role in ("failover", "drill"):
            nic = getattr(workload.nic, role)
            if nic.lower() not in known:
                subnet = f"{nic.rsplit('/', 2)[0]}/virtualNetworks/{role}/subnets/machines"
                found.interfaces[nic] = (getattr(workload.address, role), subnet)
    return found


def _deployed(made: Deployment) -> Standing:
    site: dict[str, Any] = made.outputs["COLDSITE_SITE"]
    profile = made.resources[site["traffic"]["profile"].lower()]
    said = profile.body["properties"]
    watch = said["monitorConfig"]
    return Standing(
        location=site["location"],
        machine=site["replication"]["machine"],
        profile=profile.id,
        hostname=f"{said['dnsConfig']['relativeName']}.trafficmanager.net",
        ttl=float(said["dnsConfig"]["ttl"]),
        monitor=MonitorConfig(
            interval=watch["intervalInSeconds"],
            timeout=watch["timeoutInSeconds"],
            tolerated=watch["toleratedNumberOfFailures"],
            path=watch["path"],
            host=next(one["value"] for one in watch["customHeaders"] if one["name"] == "host"),
        ),
        endpoints=[_endpoint(one) for one in said["endpoints"]],
        disks={disk["id"]: (disk["workload"], _label(disk)) for disk in site["disks"]},
        interfaces=dict(_interface(nic) for nic in made.of_type("Microsoft.Network/networkInterfaces")),
    )


def _endpoint(one: dict[str, Any]) -> EndpointState:
    said = one["properties"]
    kind = one["type"].rpartition("/")[2]
    return EndpointState(one["name"], kind, "", said["priority"], enabled=said["endpointStatus"] == "Enabled")


def _label(disk: dict[str, Any]) -> str:
    """As recovery names it: the system disk, or a data disk by its place."""
    return "os" if disk["label"] == "os" else f"data{disk['lun']}"


def _interface(nic: Resource) -> tuple[str, tuple[str, str]]:
    said = nic.body["properties"]["ipConfigurations"][0]["properties"]
    return nic.id, (said["privateIPAddress"], said["subnet"]["id"])
