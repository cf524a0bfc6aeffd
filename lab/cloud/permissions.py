"""What the caller's roles grant at a resource group or at a resource, with the roles from above it.

Source: Azure/azure-rest-api-specs, Microsoft.Authorization, Permissions_ListForResourceGroup example.
"""

from __future__ import annotations

from lab.cloud.arm import Answer, Call, ResourceManager
from lab.cloud.identity import Identity

_API = {"2022-04-01", "2018-07-01", "2015-07-01"}


class Permissions:
    """Answers for any resource group, and for any Traffic Manager profile."""

    def __init__(self, arm: ResourceManager, identity: Identity) -> None:
        self._identity = identity
        group = "/subscriptions/{subscription}/resourceGroups/{group}"
        asked = "providers/Microsoft.Authorization/permissions"
        read = "Microsoft.Authorization/permissions/read"
        profile = f"{group}/providers/Microsoft.Network/trafficManagerProfiles/{{profile}}"
        for place in (group, profile):
            arm.model("GET", f"{place}/{asked}", read, _API, self._list)

    async def _list(self, call: Call) -> Answer:
        place = call.path.lower().rsplit("/providers/microsoft.authorization", 1)[0] + "/"
        roles = [grant for grant in self._identity.grants if place.startswith(grant.scope.lower() + "/")]
        value = [
            {"actions": list(grant.actions), "notActions": [], "dataActions": [], "notDataActions": []}
            for grant in roles
        ]
        return Answer(200, {"value": value})
