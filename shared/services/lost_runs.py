"""Runs whose orchestration is gone: their rows are ended, their lock is taken over, their cutover is checked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.azure.traffic_manager import read_routing
from shared.models import ids
from shared.models.errors import UnknownRunError
from shared.models.ids import EVENT_ABORT
from shared.models.plan import RecoveryPlan
from shared.models.runs import CutoverState, Phase, RecoveryRun
from shared.models.site_state import SiteState
from shared.services.announce import tell
from shared.services.end_run import end_orphan, end_run
from shared.services.engine import Engine
from shared.services.serving import retirement
from shared.store import alerts, site_state
from shared.store.runs import list_runs, read_run, update_run

_LOOKS_BACK_ON = 20


async def end_what_is_lost(plan: RecoveryPlan, engine: Engine) -> SiteState:
    """Ends runs whose orchestration is gone, whether they hold the plan or not, and releases the plan. An end that was
    cut off is completed.

    The runs are listed before the state is read: a drill that begins in between is not in the list.
    """
    runs = await list_runs(plan.name, limit=_LOOKS_BACK_ON)
    state = await site_state.read_state(plan.name)
    if await lock_is_stale(state, engine) and (over := state.active_run):
        await end_lost(plan, over, engine)

        def free(now: SiteState) -> dict[str, Any]:
            return {"active_run": None, "active_kind": None} if now.active_run == over else {}

        state = await site_state.change_state(plan.name, free)
    for run in runs:
        if run.outcome is not None:
            if run.document is None and await _is_lost(run, engine):
                await end_run(run.run_id)  # Its end was cut off before its document was written.
            continue
        if run.run_id == state.active_run:
            continue
        if await _is_lost(run, engine):
            state = await end_lost(plan, run.run_id, engine)
        elif run.phase is not Phase.CLEANING_UP and not run.cutover.is_committed and not _is_young(run):
            # The run that took the plan from it may have died before recording that.
            await engine.send(run.run_id, EVENT_ABORT, {"by": state.active_run or "a failover", "preempted": True})
    return state


async def _is_lost(run: RecoveryRun, engine: Engine) -> bool:
    """A run that does not hold the plan may still be cleaning up, or be just beginning."""
    return not _is_young(run) and await engine.state(run.run_id) != "running"


def _is_young(run: RecoveryRun) -> bool:
    return datetime.now(UTC) - run.started_at < START_GRACE


_GONE = "The run stopped unexpectedly: its orchestration no longer exists."
_KEPT = "What it built in Azure is kept, since customers may be on it, and so are the disks of replaced machines."
_HALF_MOVED = "The run stopped during the cutover; the active site was read from Traffic Manager."


async def end_lost(plan: RecoveryPlan, run_id: str, engine: Engine) -> SiteState:
    """Ends the row of a run without an orchestration, notifies, and returns the resulting state of the site.

    Children that still build in its name are ended first; until then the row stays open, and this must be called again.

    After a failover that was lost during the cutover the active site is read from Traffic Manager and stored: unless
    traffic stayed on the primary, the built resources may serve customers, and are never deleted. Raises azure-core's
    errors when Traffic Manager cannot be read. Safe to repeat.
    """
    state = await site_state.read_state(plan.name)
    try:
        run = await read_run(run_id)
    except UnknownRunError:
        return state
    if run.outcome is not None:
        return state
    because = f"{_GONE} {_KEPT}" if run.may_serve else _GONE
    if run.cutover.is_committed:
        site = (await read_routing(plan.traffic)).active_site
        home = run.kind == "failback" and site == "primary"
        now = datetime.now(UTC)
        retire = await retirement(plan, state, now) if home else {}
        state = await site_state.change_state(
            plan.name,
            lambda before: site_state.came_home(before, now) | retire if home else site_state.routed(site, before),
        )
        if home:
            await alerts.close_before(plan.name, now)
        because = f"{_GONE} {_HALF_MOVED}"
        if site == ("recovery" if run.kind == "failback" else "primary"):  # Traffic never moved.
            await update_run(run_id, cutover=CutoverState.STEPPED_BACK)
    if await _still_building(plan, run, engine):
        return state
    await end_orphan(run_id, because)
    where = f" Active site: {state.active_site}." if run.phase is not Phase.CONFIRMING else ""
    shown = f"`coldsite runs show {run_id}` shows its steps."
    await tell(plan, f"Run {run_id} was lost in phase {run.phase.value}. {because}{where} {shown}")
    return state


async def _still_building(plan: RecoveryPlan, run: RecoveryRun, engine: Engine) -> bool:
    """Orders the run's preparation and its workloads to stop, and returns whether any still runs. The row may be one
    attempt behind.
    """
    children = [
        ids.child_instance(run.run_id, workload, attempt)
        for workload in plan.recovery.workloads
        for attempt in range(1, run.builds + 2)
    ]
    children.append(ids.preparation_instance(run.run_id))
    states = await asyncio.gather(*(engine.state(child) for child in children))
    running = [child for child, state in zip(children, states, strict=True) if state == "running"]
    await asyncio.gather(*(engine.send(child, ids.EVENT_ABORT, {"by": "the end of its run"}) for child in running))
    return bool(running)


START_GRACE = timedelta(seconds=30)
"""How long a lock may exist before its orchestration is known to the engine."""


async def lock_is_stale(state: SiteState, engine: Engine) -> bool:
    """Whether the run that holds the plan is over, or was never started."""
    if state.active_run is None:
        return False
    known = await engine.state(state.active_run)
    if known == "unknown":
        return state.locked_at is None or datetime.now(UTC) - state.locked_at > START_GRACE
    return known == "ended"
