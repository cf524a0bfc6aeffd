"""Housekeeping between runs: a frozen replica, stopped writes, leftovers, old orchestrations."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import AzureError

from shared.models.errors import UnknownRunError
from shared.models.plan import RecoveryPlan
from shared.models.site_state import SiteState
from shared.services.announce import WARNS
from shared.services.engine import Engine
from shared.services.hindsight import look_back
from shared.services.hooks import post_hook
from shared.services.latch import sites_are_left_alone
from shared.services.leftovers import leftovers, point_is_needed
from shared.services.lost_runs import end_what_is_lost
from shared.services.schedules import start_once
from shared.services.serving import resume_azure_writes, retire_now
from shared.services.site_warnings import check_site
from shared.services.weekly import weekly
from shared.store import site_state
from shared.store.events import record_event
from shared.store.runs import read_run

_log = logging.getLogger("coldsite.schedules")
KEEPS_ORCHESTRATIONS_FOR = timedelta(days=7)


async def tidy(plan: RecoveryPlan, engine: Engine) -> None:
    state = await end_what_is_lost(plan, engine)
    await _look_at_replica_if_due(plan, state, engine)
    if not state.active_run or state.active_kind == "drill":
        await _resume_writes(plan, state, engine)
    if not state.active_run:
        await resume_azure_writes(plan, state)
        await _retire(plan, state)
        await _thaw(plan, state, engine)
    if await sites_are_left_alone(state):
        await check_site(plan, state)
    if not state.active_run or state.waits_for_home:
        await _clear_leftovers(plan, state, engine)
    await look_back(plan)
    await weekly(plan, datetime.now(UTC))
    await _forget_old_orchestrations(plan, engine)


async def _clear_leftovers(plan: RecoveryPlan, state: SiteState, engine: Engine) -> None:
    try:
        left = await leftovers(plan, state)
    except AzureError:  # The warnings name what cannot be read.
        return
    for run in left:
        if await engine.state(run.run_id) != "running":
            instance, keep = f"{plan.name}-clear-{run.run_id}", point_is_needed(run, state)
            await start_once(engine, plan, "clear_leftovers", instance, of_run=run.run_id, keep_point=keep)


async def _thaw(plan: RecoveryPlan, state: SiteState, engine: Engine) -> None:
    """A lost run may have left the replica frozen."""
    froze, freezing = state.frozen_by, state.frozen_at
    if froze and freezing and state.active_site == "primary" and await engine.state(froze) != "running":
        await start_once(
            engine, plan, "thaw_replica", f"{plan.name}-thaw-{froze}", of_run=froze, freezing=freezing.isoformat()
        )


async def _resume_writes(plan: RecoveryPlan, state: SiteState, engine: Engine) -> None:
    """A lost run may have left the source's writes stopped. They are resumed in its name, unless it has cut over. A
    failover may stop them at any moment, so the state is read directly before the hook is called, and a stop that the
    call may have undone is ordered again.
    """
    fence, fenced = plan.fence, state.fenced_by
    if fence is None or fenced is None or state.active_site != "primary" or await engine.state(fenced) == "running":
        return
    now = await site_state.read_state(plan.name)
    try:
        moved = (await read_run(fenced)).cutover.is_committed
    except UnknownRunError:
        moved = False
    if now.active_kind == "failover" or now.fenced_by != fenced or moved:
        return
    answer = await post_hook(fence.hook, fence.timeout, plan.name, fenced, "resume")
    if not answer.done:
        _log.warning("%s %s: the source's writes are stopped, and %s", WARNS, plan.name, answer.detail)
        return
    after = await site_state.change_state(
        plan.name, lambda before: {"fenced_by": None} if before.fenced_by == fenced else {}
    )
    await record_event(plan.name, f"The source's writes, which run {fenced} had stopped, were resumed.")
    if other := after.fenced_by:
        await post_hook(fence.hook, fence.timeout, plan.name, other, "stop")


async def _retire(plan: RecoveryPlan, state: SiteState) -> None:
    """Gives up what a failover built, some time after the failback: not before home is protected again, since until
    then those machines hold the only other copy. They are deleted as leftovers from then on.
    """
    if not state.retire or state.active_site != "primary" or not state.protected_since_home:
        return
    now, run_id = datetime.now(UTC), state.retire["run_id"]
    if now < datetime.fromisoformat(state.retire["due"]):
        return
    await retire_now(plan.name, state)
    await record_event(plan.name, f"Home is protected again, so the machines of run {run_id} in Azure are deleted.")


async def _look_at_replica_if_due(plan: RecoveryPlan, state: SiteState, engine: Engine) -> None:
    """Only while the replica matters: customers are at the primary, and the plan has a status script. A drill that
    waits for the operator does not stop the measurement of the data's age.
    """
    seen, now = state.replica, datetime.now(UTC)
    due = seen is None or now - seen.at >= plan.replication.look_every
    quiet = not state.active_run or (state.active_kind == "drill" and not state.frozen_by)
    if due and quiet and plan.replication.script_texts and state.active_site == "primary":
        await start_once(engine, plan, "look_at_replica", f"{plan.name}-replica")


async def _forget_old_orchestrations(plan: RecoveryPlan, engine: Engine) -> None:
    """Once a day. The history keeps the facts; the engine's own record of ended orchestrations only grows."""
    now = datetime.now(UTC)

    def claim(state: SiteState) -> dict[str, Any]:
        recent = state.purged_at is not None and now - state.purged_at < timedelta(days=1)
        return {} if recent else {"purged_at": now}

    if (await site_state.change_state(plan.name, claim)).purged_at == now:
        await engine.purge_ended_before(now - KEEPS_ORCHESTRATIONS_FOR)


async def warn_of_plans_that_are_gone(deployed: Collection[str]) -> None:
    """No timer watches a plan that is no longer deployed: its locks, frozen replica and traffic need the operator."""
    for name in set(await site_state.list_plans()) - set(deployed):
        state = await site_state.read_state(name)
        left = [
            f"run {state.active_run} holds it" if state.active_run else None,
            "its replica is frozen" if state.frozen_by else None,
            "its source's writes are stopped" if state.fenced_by else None,
            "the writes in Azure are stopped" if state.writes_stopped_by else None,
            f"its active site is: {state.active_site}" if state.active_site != "primary" else None,
        ]
        if reasons := [reason for reason in left if reason]:
            _log.warning("%s plan %s is no longer deployed, and %s. Deploy it again.", WARNS, name, "; ".join(reasons))
