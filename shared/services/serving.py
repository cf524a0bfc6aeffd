"""The failover whose machines serve customers now, and resuming the writes there when a failback was lost."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from shared.models import ids
from shared.models.acts import Called
from shared.models.errors import UnknownRunError
from shared.models.operations import Refused
from shared.models.orders import ActOrder
from shared.models.plan import RecoveryPlan
from shared.models.resource_ids import compute_id
from shared.models.runs import RecoveryRun, Serving
from shared.models.site_state import SiteState
from shared.models.steps import RunRef
from shared.probes.databases import read_databases
from shared.services.announce import WARNS
from shared.services.hooks import carry_out, post_hook
from shared.store import site_state
from shared.store.events import record_event
from shared.store.runs import list_runs, read_run, update_run

_log = logging.getLogger("coldsite.serving")
_LOOKS_BACK_ON = 50


async def serving_failover(plan: RecoveryPlan, state: SiteState) -> Serving:
    """The newest failover whose cutover began, also one that was completed by hand. ``run_id`` is empty where no run of
    Coldsite did.
    """
    runs = await list_runs(plan.name, kind="failover", limit=_LOOKS_BACK_ON)
    run = next((candidate for candidate in runs if candidate.outcome is not None and candidate.holds_customers), None)
    if run is None:
        return Serving(run_id="", moved_at=state.latched_at)
    line = await line_of(run.run_id)
    built_by = {
        name: earlier.run_id for earlier in reversed(line) for name in earlier.builds_again or plan.recovery.workloads
    }
    group = plan.recovery.resource_group
    return Serving(
        run_id=run.run_id,
        built_by=built_by,
        machines={n: compute_id(group, "virtualMachines", ids.machine_name(by, n)) for n, by in built_by.items()},
        recovered_until=min(filter(None, (member.recovered_until for member in line)), default=None),
        moved_at=state.latched_at,
    )


async def line_of(run_id: str) -> list[RecoveryRun]:
    """A failover, and before it those whose machines it built again in Azure, newest first."""
    line = [await read_run(run_id)]
    while (before := line[-1].replaces) and len(line) < _LOOKS_BACK_ON:
        line.append(await read_run(before))
    return line


async def retirement(plan: RecoveryPlan, state: SiteState, now: datetime) -> dict[str, Any]:
    """The change that keeps what served in Azure for the plan's time, for a failback that cannot say so itself."""
    serving = await serving_failover(plan, state)
    due = now + plan.failback.retire_after
    return {"retire": {"run_id": serving.run_id, "due": due.isoformat()}} if serving.run_id else {}


async def retire_now(plan: str, state: SiteState) -> None:
    """Gives up what a failover built before the last failback: from now on it is deleted as a leftover."""
    run_id = state.retire["run_id"]
    try:
        for run in await line_of(run_id):
            await update_run(run.run_id, retired_at=datetime.now(UTC))
    except UnknownRunError:
        _log.warning("%s %s: run %s is not on record, so its machines stay", WARNS, plan, run_id)
    await site_state.change_state(plan, lambda now: {"retire": {}} if now.retire == state.retire else {})


async def resume_azure_writes(plan: RecoveryPlan, state: SiteState) -> None:
    """Resumes the writes in Azure that a lost failback left stopped, until the databases are seen to take them."""
    stopped_by, act = state.writes_stopped_by, plan.failback.stop_writes
    if stopped_by is None or state.active_site != "recovery":
        return
    seen = await read_databases(plan.recovered_commit_probes)
    if seen and all(view.takes_writes for view in seen.values()):
        await site_state.change_state(
            plan.name, lambda now: {"writes_stopped_by": None} if now.writes_stopped_by == stopped_by else {}
        )
        await record_event(plan.name, f"The writes in Azure, which run {stopped_by} had stopped, were resumed.")
        return
    if act is None:
        return
    if plan.fence and state.fenced_by is None:  # The failback may have opened home for writes.
        await post_hook(plan.fence.hook, plan.fence.timeout, plan.name, stopped_by, "stop")
    order = ActOrder(
        run=RunRef(run_id=stopped_by, plan=plan.name, epoch=0),
        attempt=int(datetime.now(UTC).timestamp()),
        act=act,
        action="resume",
        text=plan.failback.script_texts.get("stop_writes", ""),
        machine=(await serving_failover(plan, state)).machines.get(act.on or "", ""),
    )
    answer = await carry_out(order)
    problem = answer.refusal.sentence if isinstance(answer, Refused) else None
    if isinstance(answer, Called) and not answer.done:
        problem = answer.detail
    if problem:
        _log.warning("%s %s: the writes in Azure are stopped, and %s", WARNS, plan.name, problem)
