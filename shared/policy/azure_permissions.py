"""What Coldsite's identity must be allowed to do, by place; the same actions as in infra/roles, which are deployed."""

from __future__ import annotations

import fnmatch
from typing import Literal

from shared.models.plan import RecoveryPlan
from shared.models.readiness import Rights

Place = Literal["recovery", "replica", "traffic"]

_COMPUTE = "Microsoft.Compute"
_PROFILE = "Microsoft.Network/trafficManagerProfiles"
NEEDED: dict[Place, tuple[str, ...]] = {
    "recovery": (
        f"{_COMPUTE}/snapshots/read",
        f"{_COMPUTE}/snapshots/write",
        f"{_COMPUTE}/snapshots/delete",
        f"{_COMPUTE}/disks/read",
        f"{_COMPUTE}/disks/write",
        f"{_COMPUTE}/disks/delete",
        f"{_COMPUTE}/disks/beginGetAccess/action",
        f"{_COMPUTE}/virtualMachines/read",
        f"{_COMPUTE}/virtualMachines/write",
        f"{_COMPUTE}/virtualMachines/delete",
        f"{_COMPUTE}/virtualMachines/instanceView/read",
        f"{_COMPUTE}/virtualMachines/runCommand/action",
        f"{_COMPUTE}/virtualMachines/retrieveBootDiagnosticsData/action",
        "Microsoft.Network/networkInterfaces/join/action",
        "Microsoft.Network/networkInterfaces/read",
    ),
    "replica": (
        f"{_COMPUTE}/disks/read",
        f"{_COMPUTE}/disks/beginGetAccess/action",
        f"{_COMPUTE}/virtualMachines/runCommand/action",
    ),
    "traffic": (
        f"{_PROFILE}/externalEndpoints/read",
        f"{_PROFILE}/externalEndpoints/write",
        f"{_PROFILE}/azureEndpoints/read",
        f"{_PROFILE}/azureEndpoints/write",
        f"{_PROFILE}/read",
    ),
}


def places_of(plan: RecoveryPlan) -> dict[Place, str]:
    """The resource groups and the profile where a plan's permissions are needed."""
    return {
        "recovery": plan.recovery.resource_group,
        "replica": plan.replication.machine.split("/providers/")[0],
        "traffic": plan.traffic.profile,
    }


def missing(place: Place, granted: list[Rights]) -> list[str]:
    """The needed actions that no role grants: one role must grant an action and not take it back itself."""
    return [action for action in NEEDED[place] if not any(_grants(rights, action) for rights in granted)]


def _grants(rights: Rights, action: str) -> bool:
    def named(patterns: list[str]) -> bool:
        return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)

    return named(rights.actions) and not named(rights.not_actions)
