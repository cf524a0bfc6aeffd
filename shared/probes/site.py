"""Probing a machine or a whole site: every probe once, side by side."""

from __future__ import annotations

import asyncio
from datetime import datetime

from shared.models.base import Strict
from shared.models.errors import SettingError
from shared.models.probes import Probe
from shared.models.steps import StepEnd
from shared.probes.answer import ProbeAnswer
from shared.probes.http import probe_http
from shared.probes.sql import probe_sql


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


async def probe_site(probes: list[Probe], address: str | None = None) -> Probed:
    """Runs every probe once. ``address`` is used where a probe names no address of its own.

    Raises ``SettingError`` when a probe's setting is missing; any other error of a probe is an unhealthy answer.
    """
    answers = await asyncio.gather(*(_ask(probe, address) for probe in probes))
    commits = {
        probe.sql.database.lower(): answer.newest_commit
        for probe, answer in zip(probes, answers, strict=True)
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


async def _ask(probe: Probe, address: str | None) -> ProbeAnswer:
    try:
        if probe.http:
            return await probe_http(probe.http, address)
        assert probe.sql is not None
        return await probe_sql(probe.sql, address)
    except SettingError:
        raise
    except Exception as error:  # noqa: BLE001 (an error of one probe must not end the wait for the machine)
        message = f"{address or 'the site'} could not be probed ({type(error).__name__}: {error})"
        return ProbeAnswer(healthy=False, detail=message)
