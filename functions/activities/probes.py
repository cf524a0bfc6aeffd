"""The steps that probe recovered machines, the recovery site and DNS."""

from __future__ import annotations

from datetime import UTC, datetime

import azure.durable_functions as df

from functions.activities.base import activity
from shared.models.base import Strict
from shared.models.probes import Probe
from shared.models.steps import Order, StepEnd
from shared.probes import dns
from shared.probes.site import Probed, probe_site

bp = df.Blueprint()


class ProbeOrder(Order):
    """Run every probe once. ``address`` is used where a probe names no address of its own."""

    probes: list[Probe]
    address: str | None = None


@activity(bp, "after")
async def probe_workload(order: ProbeOrder) -> Probed:
    """Probes a recovered machine once; boot is judged by this alone."""
    return await probe_site(order.probes, order.address)


@activity(bp, "after")
async def verify_site(order: ProbeOrder) -> Probed:
    """Probes the recovery site as a customer would, at its own public address."""
    return await probe_site(order.probes, order.address)


class DnsOrder(Order):
    hostname: str
    target_name: str


class DnsAnswer(Strict):
    moved: bool
    at: datetime

    def as_step(self) -> StepEnd:
        return StepEnd(status="succeeded" if self.moved else "running")


@activity(bp, "after")
async def check_dns(order: DnsOrder) -> DnsAnswer:
    """Whether DNS resolves to the recovery site."""
    return DnsAnswer(moved=await dns.same_place(order.hostname, order.target_name), at=datetime.now(UTC))
