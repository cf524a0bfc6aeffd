"""Traffic Manager: its view of the primary, and the cutover.

Endpoints are enabled and disabled, never re-prioritised: priorities must stay unique, so two endpoints cannot swap them
one at a time (source: azure-mgmt-trafficmanager 2.0.0, and
MicrosoftDocs/azure-docs:articles/traffic-manager/traffic-manager-monitoring.md).
"""

from __future__ import annotations

import asyncio
from typing import Any

from shared.azure import clients
from shared.models.plan import Endpoint, Traffic
from shared.models.resource_ids import take_apart
from shared.models.routing import EndpointView, Routing, Switch


async def read_endpoint(traffic: Traffic, endpoint: Endpoint) -> EndpointView:
    """Reads one endpoint. Raises azure-core's errors when the profile or the endpoint cannot be read."""
    place = take_apart(traffic.profile)
    found = await clients.traffic(place.subscription).endpoints.get(
        place.group, place.name, endpoint.type, endpoint.endpoint
    )
    properties = found.properties
    return EndpointView(
        enabled=word_of(getattr(properties, "endpoint_status", None)) == "Enabled",
        monitor=word_of(getattr(properties, "endpoint_monitor_status", None)) or "Unknown",
        target=word_of(getattr(properties, "target", None)),
    )


def word_of(value: Any) -> str:
    """The SDK returns known values as enumerations and others as text."""
    return str(getattr(value, "value", value) or "")


async def read_routing(traffic: Traffic) -> Routing:
    """Reads both endpoints in parallel."""
    primary, recovery = await asyncio.gather(
        read_endpoint(traffic, traffic.primary), read_endpoint(traffic, traffic.recovery)
    )
    return Routing(primary=primary, recovery=recovery)


async def switch(traffic: Traffic, endpoint: Endpoint, to: Switch) -> None:
    """Enables or disables one endpoint; safe to repeat. The caller retries what azure-core does not."""
    place = take_apart(traffic.profile)
    await clients.traffic(place.subscription).endpoints.update(
        place.group, place.name, endpoint.type, endpoint.endpoint, {"properties": {"endpointStatus": to}}
    )
