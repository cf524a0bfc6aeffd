"""Azure Service Health: the issues that Azure has declared.

Source: Azure/azure-rest-api-specs, Microsoft.ResourceHealth 2025-05-01, Events_ListBySubscriptionId.
"""

from __future__ import annotations

import uuid
from typing import Any

from lab.cloud.arm import Answer, Call, ResourceManager

API = {"2025-05-01", "2024-02-01"}


class ServiceHealth:
    """One subscription's events. ``in_trouble`` names the service that Azure has trouble with, if any."""

    def __init__(self, arm: ResourceManager, region: str) -> None:
        self._clock = arm.clock
        self._region = region
        self.in_trouble: str | None = None
        arm.model(
            "GET",
            "/subscriptions/{subscription}/providers/Microsoft.ResourceHealth/events",
            "Microsoft.ResourceHealth/events/read",
            API,
            self._list,
        )

    async def _list(self, call: Call) -> Answer:
        return Answer(200, {"value": [self._issue(self.in_trouble)] if self.in_trouble else []})

    def _issue(self, service: str) -> dict[str, Any]:
        name = f"LAB-{uuid.uuid5(uuid.NAMESPACE_OID, service).hex[:4].upper()}"
        now = self._clock.wall(self._clock.now).isoformat()
        region = {
            "impactedRegion": self._region,
            "impactedSubscriptions": [],
            "lastUpdateTime": now,
            "status": "Active",
        }
        return {
            "id": f"/providers/Microsoft.ResourceHealth/events/{name}",
            "name": name,
            "type": "/providers/Microsoft.ResourceHealth/events",
            "properties": {
                "eventType": "ServiceIssue",
                "eventSource": "ServiceHealth",
                "eventLevel": "Warning",
                "status": "Active",
                "title": f"ACTIVE: {service} in {self._region}",
                "impactStartTime": now,
                "lastUpdateTime": now,
                "impact": [{"impactedService": service, "impactedRegions": [region | {"updates": []}]}],
            },
        }
