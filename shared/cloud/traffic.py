"""Traffic Manager: what it says of the primary, and the cutover.

Endpoints are enabled and disabled, never re-prioritised: priorities must stay unique, so two endpoints cannot swap them
one at a time (source: azure-mgmt-trafficmanager 2.0.0, and
MicrosoftDocs/azure-docs:articles/traffic-manager/traffic-manager-monitoring.md).
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Literal

from shared.cloud import clients
from shared.cloud.ids import take_apart
from shared.plan import Endpoint, Strict, Traffic
from shared.runs import Order

Switch = Literal["Enabled", "Disabled"]
ActiveSite = Literal["primary", "recovery", "both", "none"]


class EndpointView(Strict):
    """``enabled`` is what was configured; ``monitor`` is what Traffic Manager's probes say."""

    enabled: bool
    monitor: str
    target: str

    @property
    def not_checked(self) -> str | None:
        """Why Traffic Manager does not check an enabled endpoint, and what to do; None where it does.

        Source: MicrosoftDocs/azure-docs, articles/traffic-manager/traffic-manager-monitoring.md, states of endpoints.
        """
        if not self.enabled:
            return None
        return {
            "Inactive": "The Traffic Manager profile is disabled, so the customers' name does not resolve. Enable it "
            "in the portal.",
            "Stopped": "The Azure service behind an endpoint is stopped, so Traffic Manager sends no customers there. "
            "Start that service.",
        }.get(self.monitor)


class Routing(Strict):
    """Both endpoints, read back."""

    primary: EndpointView
    recovery: EndpointView

    @property
    def active_site(self) -> ActiveSite:
        match (self.primary.enabled, self.recovery.enabled):
            case (True, True):
                return "both"
            case (True, False):
                return "primary"
            case (False, True):
                return "recovery"
            case _:
                return "none"


class TrafficOrder(Order):
    """``holds`` is how often the run had stopped for a person when this was ordered: what comes later is too late, and
    so is what comes after ``not_after``, when the last look at the sites has grown old.
    """

    traffic: Traffic
    holds: int = 0
    not_after: datetime | None = None


async def read_endpoint(traffic: Traffic, endpoint: Endpoint) -> EndpointView:
    """Reads one endpoint. Raises azure-core's errors when the profile or the endpoint cannot be read."""
    place = take_apart(traffic.profile)
    found = await clients.traffic(place.subscription).endpoints.get(
        place.group, place.name, endpoint.type, endpoint.endpoint
    )
    properties = found.properties
    return EndpointView(
        enabled=_word(getattr(properties, "endpoint_status", None)) == "Enabled",
        monitor=_word(getattr(properties, "endpoint_monitor_status", None)) or "Unknown",
        target=_word(getattr(properties, "target", None)),
    )


def _word(value: Any) -> str:
    """The SDK gives known values as enumerations and others as text."""
    return str(getattr(value, "value", value) or "")


async def read_routing(traffic: Traffic) -> Routing:
    """Reads both endpoints, side by side."""
    primary, recovery = await asyncio.gather(
        read_endpoint(traffic, traffic.primary), read_endpoint(traffic, traffic.recovery)
    )
    return Routing(primary=primary, recovery=recovery)


async def switch(traffic: Traffic, endpoint: Endpoint, to: Switch) -> None:
    """Enables or disables one endpoint; safe to repeat. What azure-core does not retry, the caller does."""
    place = take_apart(traffic.profile)
    await clients.traffic(place.subscription).endpoints.update(
        place.group, place.name, endpoint.type, endpoint.endpoint, {"properties": {"endpointStatus": to}}
    )
