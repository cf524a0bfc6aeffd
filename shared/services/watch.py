"""The watch: Coldsite looks at the primary itself, so that no alert is needed to notice an outage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from datetime import UTC, datetime

from azure.core.exceptions import AzureError

from shared.azure.traffic_manager import read_endpoint
from shared.models.errors import PlanBusyError, RefusedError, first_line
from shared.models.evidence import Round
from shared.models.plan import RecoveryPlan
from shared.models.site_state import SiteState
from shared.policy.outage import round_view
from shared.services.announce import FAILED
from shared.services.engine import Engine
from shared.services.escalation import escalate
from shared.services.look import look_directly
from shared.services.lost_runs import lock_is_stale
from shared.services.news import turned_bad, well_again
from shared.services.resolvers import follow_resolvers
from shared.services.start_run import begin_run, is_postponed, why_unsafe
from shared.store import alerts, site_state

_log = logging.getLogger("coldsite.watch")


async def watch(plan: RecoveryPlan, engine: Engine) -> str | None:
    """Checks one plan and starts a run if required; returns the run's id, or None when there is nothing to do.

    A run starts when Coldsite's own probes fail twice in a row (it carries both looks, so that the confirmation counts
    from the first), when Traffic Manager calls the primary degraded, or while an alert is not resolved. While the next
    check is postponed it starts one only for news: a check that has failed since the last run ended. Beside that, an
    unanswered question is escalated, and resolvers are asked whether they have seen the newest move.
    """
    state = await site_state.change_state(plan.name, lambda before: {})
    run_id, *_ = await asyncio.gather(
        _watch(plan, engine, state),
        _beside(plan, escalate(plan, state)),
        _beside(plan, follow_resolvers(plan, state)),
    )
    return run_id


async def _beside(plan: RecoveryPlan, work: Awaitable[None]) -> None:
    """What must not keep the watch from looking."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 (the watch must continue)
        _log.error("%s %s: %s", FAILED, plan.name, error)


async def _watch(plan: RecoveryPlan, engine: Engine, state: SiteState) -> str | None:
    if state.active_run and state.active_kind == "failover" and not await lock_is_stale(state, engine):
        return None
    if why_unsafe(state, "failover"):
        return None
    monitor, looks = await asyncio.gather(_monitor(plan), _two_bad_looks(plan))
    if monitor == "Online" and not looks:
        state = await well_again(plan, state)
    if looks:
        reason = "The watch did not reach the primary site twice in a row"
    elif monitor == "Degraded":
        reason = "The watch found the primary's endpoint degraded"
    elif await alerts.count_open(plan.name):
        reason = "The watch found an alert that is not resolved"
    else:
        return None
    if is_postponed(state, datetime.now(UTC)):
        news = await turned_bad(plan, state)
        if not news:
            return None
        reason = f"{reason}, and {', '.join(news)} failed since the last check"
    try:
        run = await begin_run(engine, plan, "failover", plan.detection.mode, "watch", reason, looks=looks)
    except (PlanBusyError, RefusedError):
        return None
    return run.run_id


async def _two_bad_looks(plan: RecoveryPlan) -> list[Round]:
    """Two looks at the primary that both found it unreachable, or none. A single one is counted as a short failure and
    does not fill the history.
    """
    first = await look_directly(plan)
    if not directly_down(first, plan):
        return []
    await asyncio.sleep(plan.detection.interval.total_seconds())
    second = await look_directly(plan)
    if directly_down(second, plan):
        return [first, second]
    await site_state.count_short_failure(plan.name, first.at)
    return []


def directly_down(seen: Round, plan: RecoveryPlan) -> bool:
    """Whether Coldsite's own probes say down on as many paths as the quorum asks, or on all that they have."""
    paths = {e.path for e in seen.evidence if e.role == "evidence"}
    return bool(paths) and round_view(seen.evidence, min(plan.detection.quorum, len(paths))).says == "down"


async def _monitor(plan: RecoveryPlan) -> str:
    """Traffic Manager's view of the primary. A removed right must not blind the watch unnoticed."""
    try:
        return (await read_endpoint(plan.traffic, plan.traffic.primary)).monitor
    except AzureError as error:
        first = first_line(error)
        _log.warning("%s %s: the watch cannot read Traffic Manager (%s)", FAILED, plan.name, first)
        return "Unknown"
