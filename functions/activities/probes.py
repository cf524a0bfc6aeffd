"""The steps that probe recovered machines, the recovery site and DNS."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import azure.durable_functions as df

from functions.activities.base import activity
from shared.models.base import Strict
from shared.models.errors import SettingError
from shared.models.probes import Probe
from shared.models.steps import Order, StepEnd
from shared.probes import dns
from shared.probes.answer import ProbeAnswer
from shared.probes.http import probe_http
from shared.probes.sql import probe_sql

bp = df.Blueprint()


class ProbeOrder(Order):
    """Run every probe once. ``address`` is used where a probe names no address of its own."""

    probes: list[Probe]
    address: str | None = None


class Probed(Strict):
    """``answered``: any answer came. ``hopeless``: waiting longer cannot help. ``unmeasured``: why there is no newest
    commit although the plan asks for it.
    """

    healthy: bool
    detail: str
    answered: bool = False
    hopeless: bool = False
    commits: dict[str, datetime] = {}
    """The newest commit of each database that was measured, by its name in lower case."""
    unmeasured: str | None = None

    def as_step(self) -> StepEnd:
        if self.hopeless:
            return StepEnd(status="failed", error=self.detail)
        detail = {"seen": self.detail} | ({"not measured": self.unmeasured} if self.unmeasured else {})
        return StepEnd(status="succeeded" if self.healthy else "running", detail=detail)


async def _probe(order: ProbeOrder) -> Probed:
    async def ask(probe: Probe) -> ProbeAnswer:
        try:
            if probe.http:
                return await probe_http(probe.http, order.address)
            assert probe.sql is not None
            return await probe_sql(probe.sql, order.address)
        except SettingError:
            raise
        except Exception as error:  # noqa: BLE001 (an error of one probe must not end the wait for the machine)
            message = f"{order.address or 'the site'} could not be probed ({type(error).__name__}: {error})"
            return ProbeAnswer(healthy=False, detail=message)

    answers = await asyncio.gather(*(ask(probe) for probe in order.probes))
    commits = {
        probe.sql.database.lower(): answer.newest_commit
        for probe, answer in zip(order.probes, answers, strict=True)
        if probe.sql and answer.newest_commit
    }
    unwell = [a for a in answers if not a.healthy]
    return Probed(
        healthy=not unwell,
        detail="; ".join(a.detail for a in unwell or answers),
        answered=any(a.answered for a in answers),
        hopeless=any(a.hopeless for a in unwell),
        commits=commits,
        unmeasured="; ".join(a.unmeasured for a in answers if a.unmeasured) or None,
    )


@activity(bp, "after")
async def probe_workload(order: ProbeOrder) -> Probed:
    """Probes a recovered machine once; boot is judged by this alone."""
    return await _probe(order)


@activity(bp, "after")
async def verify_site(order: ProbeOrder) -> Probed:
    """Probes the recovery site as a customer would, at its own public address."""
    return await _probe(order)


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
