"""Traffic Manager's two endpoints, as read back."""

from __future__ import annotations

from typing import Literal

from shared.models.base import Strict

Switch = Literal["Enabled", "Disabled"]
ActiveSite = Literal["primary", "recovery", "both", "none"]


class EndpointView(Strict):
    """``enabled`` is the configuration; ``monitor`` is the result of Traffic Manager's probes."""

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
            "Inactive": "The Traffic Manager profile is disabled, so the host name does not resolve. Enable it "
            "in the portal.",
            "Stopped": "The Azure service behind an endpoint is stopped, so Traffic Manager does not route there. "
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
