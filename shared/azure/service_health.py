"""Azure's own health: Service Health's active issues that would affect a recovery."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.rest import HttpRequest

from shared.azure import clients

_VERSION = "2025-05-01"
_LOOK_BACK = timedelta(days=3)
NEEDED_SERVICES = frozenset(
    {
        "virtual machines",
        "virtual network",
        "storage",
        "azure managed disks",
        "network infrastructure",
        "azure resource manager",
        "traffic manager",
    }
)
"""The services that a recovery needs. An issue of any other service is no reason to hesitate."""


async def active_issues(subscription: str, location: str) -> list[str]:
    """The titles of active service issues that affect ``location``, or the whole world, and a needed service.

    Raises azure-core's errors when Service Health does not answer. Source: Azure/azure-rest-api-specs,
    Microsoft.ResourceHealth 2025-05-01, Events_ListBySubscriptionId.
    """
    since = datetime.now(UTC) - _LOOK_BACK
    parameters = {"api-version": _VERSION, "queryStartTime": f"{since.month}/{since.day}/{since.year}"}
    url: str | None = f"/subscriptions/{subscription}/providers/Microsoft.ResourceHealth/events"
    client = clients.compute(subscription)
    found: list[str] = []
    while url:
        response = await client.send_request(HttpRequest("GET", url, params=parameters))
        response.raise_for_status()
        page = response.json()
        found += [title for event in page.get("value", []) if (title := _in_the_way(event, location))]
        url, parameters = page.get("nextLink"), {}
    return sorted(set(found))


def _in_the_way(event: dict[str, Any], location: str) -> str | None:
    facts = event.get("properties") or {}
    if facts.get("eventType") != "ServiceIssue" or facts.get("status") != "Active":
        return None
    for impact in facts.get("impact") or []:
        service = str(impact.get("impactedService") or "")
        regions = {
            _plain(str(region.get("impactedRegion") or ""))
            for region in impact.get("impactedRegions") or []
            if (region.get("status") or "Active") == "Active"
        }
        if service.lower() in NEEDED_SERVICES and regions & {_plain(location), "global"}:
            return str(facts.get("title") or f"{service} in {location}")
    return None


def _plain(region: str) -> str:
    """``West Europe`` and ``westeurope`` are one region."""
    return region.replace(" ", "").lower()
