"""Settling where customers are served: a person attests it, and what Coldsite sees must not contradict it.

It is the way out of every state that was changed by hand: after a failback without Coldsite, after a cutover that was
interrupted, and when Azure becomes the home.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from shared.azure.traffic_manager import read_routing
from shared.models.base import Strict
from shared.models.errors import PlanBusyError, RefusedError
from shared.models.evidence import Evidence, spoken_evidence
from shared.models.plan import RecoveryPlan
from shared.models.routing import ActiveSite
from shared.models.runs import Person
from shared.models.site_state import SiteState
from shared.models.words import SITES
from shared.policy.outage import primary_serves
from shared.probes.site import probe_site
from shared.services.look import look_briefly
from shared.store import alerts, site_state
from shared.store.events import record_event

type Served = Literal["primary", "recovery"]
_PROPOSAL_LASTS = timedelta(hours=24)


class SiteViews(Strict):
    """What was seen: where Traffic Manager routes, the checks of the primary, and the probes of the recovery site."""

    routes_to: ActiveSite
    primary: list[Evidence]
    primary_serves: bool
    recovery_serves: bool
    recovery_detail: str

    def contradiction(self, served_from: Served) -> str | None:
        """Why customers cannot be served from there, in a sentence; None when everything agrees."""
        problems: list[str] = []
        if self.routes_to != served_from:
            problems.append(f"Traffic Manager routes to {SITES[self.routes_to]}.")
        if served_from == "primary" and not self.primary_serves:
            problems.append(f"The checks do not see the primary site serving: {spoken_evidence(self.primary)}.")
        if served_from == "recovery" and not self.recovery_serves:
            problems.append(f"The recovery site does not serve: {self.recovery_detail}.")
        return " ".join(problems) or None


class Settlement(Strict):
    """``settled`` is False for a rehearsal, and while a second person must confirm; ``sentence`` says which."""

    plan: str
    served_from: Served
    for_good: bool
    settled: bool
    sentence: str
    found: SiteViews


async def settle(
    plan: RecoveryPlan,
    served_from: Served,
    reason: str,
    person: Person,
    *,
    for_good: bool = False,
    what_if: bool = False,
) -> Settlement:
    """Stores where customers are served. ``for_good`` (only Azure): Azure is the home now, so nothing guards the old
    primary any more, and drills and failovers stay off.

    Raises ``RefusedError`` with both views when Traffic Manager or the probes contradict it, ``PlanBusyError`` while a
    run holds the plan, and azure-core's errors when Traffic Manager cannot be read. With four eyes the first call
    proposes, and the same call by another person within 24 hours settles.
    """
    if for_good and served_from != "recovery":
        raise RefusedError("for_good is only for Azure: it says that Azure is the home now.")
    state = await site_state.read_state(plan.name)
    if state.active_run:
        raise PlanBusyError(state.active_run)
    found = await _look(plan)
    if problem := found.contradiction(served_from):
        raise RefusedError(
            f"Customers are not served from {SITES[served_from]}. {problem} Correct that first, or settle for the site "
            "that serves.",
            found=found.model_dump(mode="json"),
        )

    def answer(sentence: str, *, settled: bool = False) -> Settlement:
        return Settlement(
            plan=plan.name,
            served_from=served_from,
            for_good=for_good,
            settled=settled,
            sentence=sentence,
            found=found,
        )

    meaning = _meaning(served_from, for_good=for_good)
    if what_if:
        return answer(f"Nothing contradicts it. {meaning} Nothing was stored.")
    if plan.detection.approval.four_eyes and not _second_person_agrees(state, served_from, for_good, person):
        proposal = {
            "served_from": served_from,
            "for_good": for_good,
            "by": person.id,
            "at": datetime.now(UTC).isoformat(),
        }
        await site_state.change_state(plan.name, lambda _: {"settle_proposal": proposal})
        await record_event(plan.name, f"{person.known_as} proposes: {meaning} Reason: {reason}")
        return answer("The plan requires four eyes. A second person must run the same command within 24 hours.")

    def change(before: SiteState) -> dict[str, Any]:
        if before.active_run:
            raise PlanBusyError(before.active_run)
        home = served_from == "primary" and (before.active_site != "primary" or before.writes_stopped_by is not None)
        now = datetime.now(UTC)
        changed = site_state.came_home(before, now) if home else site_state.routed(served_from, before)
        return changed | {"azure_is_home": for_good, "settle_proposal": {}}

    await site_state.change_state(plan.name, change)
    if served_from == "primary":  # It was just seen serving, so what fired before is no longer open.
        await alerts.close_before(plan.name, datetime.now(UTC))
    await record_event(plan.name, f"Settled by {person.known_as}: {meaning} Reason: {reason}")
    return answer(f"Settled. {meaning}", settled=True)


async def _look(plan: RecoveryPlan) -> SiteViews:
    routing, seen, recovery = await asyncio.gather(
        read_routing(plan.traffic), look_briefly(plan), probe_site(plan.traffic.verify)
    )
    return SiteViews(
        routes_to=routing.active_site,
        primary=seen.evidence,
        primary_serves=primary_serves(seen.evidence),
        recovery_serves=recovery.healthy,
        recovery_detail=recovery.detail,
    )


def _meaning(served_from: Served, *, for_good: bool) -> str:
    if served_from == "primary":
        return (
            "Customers are served from the primary site, and Coldsite protects it again as soon as replication is "
            "healthy. Machines that an earlier failover built in Azure are still there: delete them, since they use "
            "the interfaces that a failover or a drill needs."
        )
    if for_good:
        return (
            "Azure is the home now. Coldsite no longer guards the old primary, and starts no failover and no drill, "
            "until this is settled for the primary again."
        )
    return "Customers are served from Azure. Coldsite keeps the old primary's endpoint disabled and watches it."


def _second_person_agrees(state: SiteState, served_from: Served, for_good: bool, person: Person) -> bool:
    """Whether another person has proposed the same within a day."""
    proposal = state.settle_proposal
    if not proposal or person.id is None or proposal["by"] == person.id:
        return False
    same = (proposal["served_from"], proposal["for_good"]) == (served_from, for_good)
    return same and datetime.now(UTC) - datetime.fromisoformat(proposal["at"]) <= _PROPOSAL_LASTS
