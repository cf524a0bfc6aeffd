"""Checks between runs: the latch, the old primary, replication, and leftovers."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import AzureError

from shared.azure.traffic_manager import read_routing
from shared.models import ids
from shared.models.durations import spoken_moment
from shared.models.errors import first_line
from shared.models.orders import Sources
from shared.models.plan import RecoveryPlan
from shared.models.routing import EndpointView, Routing
from shared.models.runs import Serving
from shared.models.site_state import SiteState
from shared.policy.away import away_sentence
from shared.policy.loss import loss_question
from shared.probes.databases import look_at_both
from shared.probes.evidence import gather
from shared.services.announce import FAILED, UNDELIVERED, WARNS, send_to_subscribers, tell
from shared.services.latch import latch_again
from shared.services.leftovers import leftovers
from shared.services.serving import retirement
from shared.store import site_state
from shared.store.events import record_event

_log = logging.getLogger("coldsite.warnings")


type Warnings = dict[str, str]
"""Sentences, by what they are about."""
_ROUTING = {"primary_enabled", "recovery_disabled", "recovery_enabled", "primary_disabled", "half_moved", "not_checked"}
_OLD_PRIMARY = {"primary_answers", "primary_written"}
_LEFT = {"leftovers"}
_DAILY = {"away"}
"""Notified again when the sentence has changed."""
_LASTING = {"primary_written"}
"""A write after the cutover remains a fact when the server falls silent."""
BLIND_FOR = timedelta(minutes=15)
"""How long a service may be unreadable before a notification is sent: Azure has short outages of its own."""


async def check_site(plan: RecoveryPlan, state: SiteState) -> None:
    """Checks the site between runs.

    Traffic Manager must agree with the site's state. While customers are served from Azure, the old primary must stay
    disabled, silent and unwritten. A deviation is notified once, stays in the site's warnings until it has passed, and
    is kept in the site's events. Where the plan says so, a primary endpoint enabled by hand is disabled again.
    """
    found: Warnings = _data_warnings(plan, state)
    unknown: dict[str, str] = {}
    looks = (
        ("Traffic Manager", _ROUTING, _routing_warnings),
        ("the old primary", _OLD_PRIMARY, _old_primary_warnings),
        ("the resources in the recovery group", _LEFT, _left_warnings),
    )
    unread: set[str] = set()
    for what, about, look in looks:
        try:
            found |= await look(plan, state)
        except AzureError as error:
            unknown[what] = first_line(error)
            unread |= about
            _log.warning("%s %s: %s could not be read (%s)", FAILED, plan.name, what, unknown[what])
    found |= await _unseen_warnings(plan, state, unknown)
    await _warn(plan, found, unread)


async def _unseen_warnings(plan: RecoveryPlan, state: SiteState, unknown: dict[str, str]) -> Warnings:
    """Services that have been unreadable for longer than a short outage: a right may have been removed."""
    now = datetime.now(UTC)
    since = {what: state.unseen_since.get(what, now.isoformat()) for what in unknown}
    if since != state.unseen_since:
        await site_state.change_state(plan.name, lambda _: {"unseen_since": since})
    blind = {what: began for what, began in since.items() if now - datetime.fromisoformat(began) >= BLIND_FOR}
    return {
        f"unseen/{what}": f"Coldsite has been unable to read {what} since {began[:16].replace('T', ' ')} UTC "
        f"({unknown[what]}). Check the roles of its identity."
        for what, began in blind.items()
    }


def _data_warnings(plan: RecoveryPlan, state: SiteState) -> Warnings:
    """Replication and recovery points, while the primary serves: an unhealthy replica costs data in a disaster."""
    if state.active_site != "primary":
        return _away(plan, state) | _writes_stopped(plan, state) | _points_missing(plan, state)
    found: Warnings = {}
    if state.failed_back_at and not state.protected_since_home:
        kept = f" The machines of {state.retire['run_id']} in Azure are kept until then." if state.retire else ""
        found["not_protected"] = (
            f"Home has not been protected since the failback of {spoken_moment(state.failed_back_at)}: no recovery "
            f"point holds data from after it.{kept} Start replication to Azure again."
        )
    now, replica = datetime.now(UTC), state.replica
    if replica and replica.problem and replica.bad_since and now - replica.bad_since >= plan.replication.look_every:
        known = f"Its data are from {spoken_moment(state.data_until)}." if state.data_until else ""
        found["replication"] = (
            f"Replication has been unhealthy since {spoken_moment(replica.bad_since)}: "
            f"{replica.problem.rstrip('.')}. {known} Check the replication machine."
        )
    elif replica and not replica.problem and loss_question(state.data_until, now, plan.loss_limit):
        known = f"are from {spoken_moment(state.data_until)}" if state.data_until else "are of unknown age"
        found["replication"] = (
            f"According to the replication scripts, Azure's data {known}, so an automatic failover would require "
            "approval. Check that the scripts report connected and replicated_until."
        )
    if state.fenced_by:
        found["fenced"] = (
            f"The primary's writes were stopped by run {state.fenced_by} and could not be resumed yet. "
            + ("Coldsite keeps retrying." if plan.fence else "The plan no longer has a fence: resume them by hand.")
        )
    return found | _points_missing(plan, state)


def _away(plan: RecoveryPlan, state: SiteState) -> Warnings:
    """Customers are served from Azure for days."""
    days = (datetime.now(UTC) - state.latched_at).days if state.latched and state.latched_at else 0
    if days < 1:
        return {}
    return {"away": away_sentence(plan.name, days)}


def _points_missing(plan: RecoveryPlan, state: SiteState) -> Warnings:
    """Recovery points that are not being taken, of the replica or of the machines that serve in Azure."""
    every, now = plan.replication.recovery_points, datetime.now(UTC)
    lost = (
        every is not None
        and state.last_set_at is not None
        and (state.last_point_at is None or state.last_point_at < state.last_set_at)
        and now - state.last_set_at > plan.replication.pause_limit * 6
    )
    if every is not None and (state.point_trouble or lost):
        why = state.point_trouble or "the newest one was begun and did not complete"
        newest = f"The newest is from {spoken_moment(state.last_point_at)}." if state.last_point_at else ""
        return {"recovery_points": f"Recovery points are not being taken: {why.rstrip('.')}. {newest}".strip()}
    return {}


def _writes_stopped(plan: RecoveryPlan, state: SiteState) -> Warnings:
    """A failback that ended left the writes in Azure stopped: the shop takes no orders."""
    if state.writes_stopped_by is None or state.active_run:
        return {}
    act = plan.failback.stop_writes
    todo = "Coldsite keeps trying to resume them" if act else "The plan no longer has failback.stop_writes"
    return {
        "writes_stopped": f"The writes in Azure were stopped by run {state.writes_stopped_by} and are not resumed "
        f"yet, so no order can be placed. {todo}; if that lasts, resume them by hand (docs/failback.md)."
    }


async def _left_warnings(plan: RecoveryPlan, state: SiteState) -> Warnings:
    """Resources that one cleanup could not delete, or that have existed for longer than a cleanup may take."""
    overdue_before = datetime.now(UTC) - plan.recovery.operation_timeout
    rebuilds = state.active_run is not None and not state.waits_for_home  # Nothing is cleared meanwhile.
    stuck = [
        run.run_id
        for run in await leftovers(plan, state)
        if run.run_id in state.not_cleared
        or (not rebuilds and (moment := run.retired_at or run.ended_at) and moment < overdue_before)
    ]
    if not stuck:
        return {}
    left = sorted({leftover for run_id in stuck for leftover in state.not_cleared.get(run_id, [])})
    rest = f" {'; '.join(leftover.rstrip('.') for leftover in left)}." if left else ""
    return {
        "leftovers": f"Resources of {', '.join(stuck)} could not be deleted.{rest} Find them by the tag {ids.TAG_RUN} "
        "and remove the obstacle, such as a lock; Coldsite then deletes them."
    }


async def _routing_warnings(plan: RecoveryPlan, state: SiteState) -> Warnings:
    if state.azure_is_home:
        return {}
    routing = await read_routing(plan.traffic)
    if state.active_site in ("both", "none"):
        return await _half_moved(plan, state, routing)
    if not state.latched:
        return _routing_at_rest(plan, routing) | _not_checked(plan.traffic.primary.endpoint, routing.primary)
    found: Warnings = _not_checked(plan.traffic.recovery.endpoint, routing.recovery)
    if not routing.recovery.enabled:
        found["recovery_disabled"] = (
            f"The recovery endpoint {plan.traffic.recovery.endpoint} is disabled in Traffic Manager, but the recovery "
            "site is the active site. Enable it in the portal."
        )
    if routing.primary.enabled:
        found |= await _primary_enabled(plan, state, routing)
    return found


def _not_checked(endpoint: str, seen: EndpointView) -> Warnings:
    """An endpoint in service that Traffic Manager does not check: the host name may not resolve at all."""
    why = seen.not_checked
    return {"not_checked": f"{why} (Endpoint {endpoint}: {seen.monitor}.)"} if why else {}


async def _half_moved(plan: RecoveryPlan, state: SiteState, routing: Routing) -> Warnings:
    """A failover was lost in the middle of the cutover, so the operator must complete it in the portal. The result is
    read from Traffic Manager and stored.
    """
    site = routing.active_site
    if site != state.active_site:
        now = datetime.now(UTC)
        home = site == "primary" and state.writes_stopped_by is not None
        changes = site_state.came_home(state, now) | await retirement(plan, state, now) if home else None
        await site_state.change_state(
            plan.name, lambda before: {} if before.active_run else (changes or site_state.routed(site, before))
        )
    if site not in ("both", "none"):
        return {}
    primary, recovery = plan.traffic.primary.endpoint, plan.traffic.recovery.endpoint
    if state.writes_stopped_by:
        message = (
            f"A failback was interrupted while customers moved home, and {site} of the endpoints are enabled in "
            f"Traffic Manager. Home may have taken orders: enable {primary} and disable {recovery} in the portal, "
            f"then `coldsite settle {plan.name} --served-from primary`. Serving from Azure instead would lose those "
            "orders."
        )
        return {"half_moved": message}
    message = (
        f"A failover was interrupted during cutover, and {site} of the endpoints "
        f"{'are' if site == 'both' else 'is'} enabled in Traffic Manager. In the portal, enable {recovery} and disable "
        f"{primary} to serve from Azure, or the reverse to stay on the primary. Then `coldsite settle {plan.name}`."
    )
    return {"half_moved": message}


def _routing_at_rest(plan: RecoveryPlan, routing: Routing) -> Warnings:
    """While the primary serves, the recovery endpoint points to machines that do not exist."""
    found: Warnings = {}
    if routing.recovery.enabled:
        found["recovery_enabled"] = (
            f"The recovery endpoint {plan.traffic.recovery.endpoint} is enabled in Traffic Manager, but has no site "
            "behind it: traffic may go there as soon as the primary misses a probe. Disable it in the portal."
        )
    if not routing.primary.enabled:
        found["primary_disabled"] = (
            f"The primary endpoint {plan.traffic.primary.endpoint} is disabled in Traffic Manager, but the primary is "
            "the active site. Enable it in the portal, or fail over."
        )
    return found


async def _primary_enabled(plan: RecoveryPlan, state: SiteState, routing: Routing) -> Warnings:
    """While the recovery site does not answer, the old one may be the only site, so a person must choose."""
    message = f"The primary endpoint {plan.traffic.primary.endpoint} was enabled by hand in Traffic Manager"
    if routing.recovery.enabled and routing.recovery.monitor == "Degraded":
        todo = "Fix the recovery site, or fail back."
        if state.active_run and not state.waits_for_home:
            todo = f"Run {state.active_run} repairs the recovery site; until then the old one may be the only site."
        return {
            "primary_enabled": f"{message}, and the recovery site does not answer Traffic Manager: traffic goes to the "
            f"old site if that answers. The endpoint was not disabled again. {todo}"
        }
    if await latch_again(plan, state, routing):
        again = "The primary endpoint has been disabled again (latch_again)."
        await tell(plan, f"{message}, while customers are served from Azure. {again}")
        return {}
    return {"primary_enabled": f"{message}: traffic may go to the old site. Disable it in the portal."}


async def _old_primary_warnings(plan: RecoveryPlan, state: SiteState) -> Warnings:
    if not state.latched:
        return {}
    asked = {name for name, s in plan.detection.signals.items() if s.role == "evidence" and (s.http or s.sql)}
    seen = await gather(Sources.of(plan))
    answers = [f"{e.signal}: {e.detail}" for e in seen.evidence if e.signal in asked and e.state == "up"]
    found: Warnings = {}
    if answers:
        found["primary_answers"] = (
            f"The old primary answers again, while customers are served from Azure ({'; '.join(answers)}). Keep users "
            "away from it until failback is complete."
        )
    moved = Serving(run_id="", moved_at=state.latched_at)
    query = plan.failback.count_query  # Without it a copy home looks like a write.
    both = await look_at_both(plan.commit_probes, plan.recovered_commit_probes, serving=moved, count_query=query)
    if both.written_at_home if query else both.changed_at_home:
        found["primary_written"] = (
            "The old primary still takes writes: its newest commit is from after the cutover. Stop the "
            "application there, and keep its data for comparison."
        )
    return found


async def _warn(plan: RecoveryPlan, found: Warnings, unknown: set[str]) -> None:
    """Notifies new warnings, stores them, and records those that have passed. Unreadable services keep their warnings,
    and a warning that no address accepted is notified again.
    """
    state = await site_state.read_state(plan.name)
    before = {key: message for key, message in state.warnings.items() if not key.startswith(UNDELIVERED)}
    lasting = _LASTING if state.latched else set[str]()
    for message in found.values():
        _log.warning("%s %s: %s", WARNS, plan.name, message)
    news = found.keys() - before.keys() | {key for key in _DAILY & found.keys() if found[key] != before.get(key)}
    untold = [key for key in news if not await tell(plan, found[key])]
    untold += [
        key
        for key in state.untold
        if key in found and key not in news and not await send_to_subscribers(plan, found[key])
    ]
    stays = (found.keys() | unknown | lasting) - news
    kept = {key: message for key, message in before.items() if key in stays}
    now = found | kept
    if now != before or sorted(untold) != state.untold:
        await site_state.change_state(
            plan.name, lambda latest: {"warnings": now | _undelivered(plan, latest), "untold": sorted(untold)}
        )
    for key in before.keys() - now.keys():
        await record_event(plan.name, f"Resolved: {before[key]}")


def _undelivered(plan: RecoveryPlan, state: SiteState) -> Warnings:
    """The warnings about the plan's addresses, which the sender maintains."""
    keys = {UNDELIVERED + address for address in plan.addresses}
    return {key: message for key, message in state.warnings.items() if key in keys}
