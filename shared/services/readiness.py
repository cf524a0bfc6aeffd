"""Gathering what a failover would need, and what is missing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import AzureError

from shared import settings
from shared.azure import catalog, cleanup
from shared.azure.recovery_points import recovery_points
from shared.azure.traffic_manager import read_routing
from shared.models.errors import ColdsiteError, first_line
from shared.models.plan import RecoveryPlan
from shared.models.readiness import Readiness, ReadinessFacts
from shared.models.resource_ids import take_apart
from shared.policy.azure_permissions import missing, places_of
from shared.policy.readiness import findings
from shared.probes import dns
from shared.services.announce import tell
from shared.services.look import look_briefly
from shared.store import site_state
from shared.store.runs import last_good_drill


async def readiness(plan: RecoveryPlan) -> Readiness:
    """Asks everything once, side by side, and stores the findings. A part that cannot be read is a finding."""
    state = await site_state.read_state(plan.name)
    kept_runs = [run for run in (state.active_run, state.retire.get("run_id")) if run]
    facts = (await _gather(plan, kept_runs)).model_copy(update={"delivered": state.delivered})
    found = findings(plan, state.active_site, state.data_until, facts)
    result = Readiness(
        plan=plan.name, at=facts.at, ready=all(finding.severity != "blocker" for finding in found), findings=found
    )
    kept = {"at": facts.at.isoformat(), "findings": [finding.model_dump(mode="json") for finding in found]}
    await site_state.change_state(plan.name, lambda _: {"readiness": kept})
    return result


async def sweep(plan: RecoveryPlan) -> None:
    """The same, for the timer: a new finding is told once, and again when it comes back after it had passed."""
    known = set((await site_state.read_state(plan.name)).readiness_told)
    reported = [
        finding.key
        for finding in (await readiness(plan)).findings
        if finding.key in known or await tell(plan, f"Readiness: {finding.found} {finding.why} {finding.fix}")
    ]
    await site_state.change_state(plan.name, lambda _: {"readiness_told": reported})


async def _gather(plan: RecoveryPlan, kept: list[str]) -> ReadinessFacts:
    recovery, unread = plan.recovery, dict[str, str]()
    subscription = take_apart(recovery.resource_group).subscription

    async def part(name: str, asked: Awaitable[Any]) -> Any:
        try:
            return await asked
        except (AzureError, ColdsiteError, OSError) as error:
            unread[name] = first_line(error)
            return None

    hosts = sorted({probe.http.host for probe in plan.traffic.verify if probe.http and probe.http.host})
    places = places_of(plan)
    granted = asyncio.gather(*(part(f"the rights on {name}", catalog.rights(at)) for name, at in places.items()))
    routing, profile, nics, sizes, quotas, points, standing, evidence, good, rights, *follows = await asyncio.gather(
        part("Traffic Manager", read_routing(plan.traffic)),
        part("the profile", catalog.profile(plan.traffic)),
        part("the network interfaces", catalog.interfaces(recovery.resource_group)),
        part("the sizes of the region", catalog.sizes(subscription, recovery.location)),
        part("the quotas of the region", catalog.quotas(subscription, recovery.location)),
        part("the recovery points", recovery_points(recovery.resource_group, plan.name)),
        part("the recovery group", cleanup.standing(recovery.resource_group, plan.name)),
        look_briefly(plan),
        last_good_drill(plan.name),
        granted,
        *(part(f"the name {host}", dns.same_place(host, plan.traffic.hostname)) for host in hosts),
    )
    timers = [point for point in points or [] if not point.run_id]
    return ReadinessFacts(
        at=datetime.now(UTC),
        routing=routing,
        profile=profile,
        follows={host: leads for host, leads in zip(hosts, follows, strict=True) if leads is not None},
        interfaces=nics,
        sizes=sizes,
        quotas=quotas,
        missing_rights={
            name: lacks
            for name, found in zip(places, rights, strict=True)
            if found is not None and (lacks := missing(name, found))
        },
        newest_point=timers[0].taken_at if timers else None,
        points_read=points is not None,
        standing=None if standing is None else sorted(run for run, kinds in standing.items() if kinds != {"snapshots"}),
        kept=kept,
        missing_settings=[name for name in plan.settings if not settings.is_set(name)],
        evidence=evidence.evidence,
        last_drill=good.ended_at if good else None,
        drill_is_of_this_plan=good is not None and good.recovery_hash == plan.recovery_hash,
        unread=unread,
    )
