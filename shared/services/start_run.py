"""Starting a run, or refusing to. Triggers call this; orchestrators do not."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from shared.models import ids
from shared.models.errors import ColdsiteError, RefusedError, UnknownRunError
from shared.models.evidence import Round
from shared.models.ids import Kind
from shared.models.plan import RecoveryPlan
from shared.models.runs import FIRST_PHASE, Mode, Person, Phase, RecoveryRun, Replacement, RunInput, Trigger
from shared.models.site_state import SiteState
from shared.models.steps import RunRef
from shared.policy.learned import as_learned
from shared.policy.outage import operator_verdict
from shared.services.end_run import end_orphan
from shared.services.engine import Engine
from shared.services.lost_runs import end_lost, lock_is_stale
from shared.services.serving import serving_failover
from shared.store import site_state
from shared.store.runs import open_run, read_run


def why_unsafe(state: SiteState, kind: Kind) -> str | None:
    """Why a run of this kind would be unsafe now, in a sentence; None when it would not.

    Maintenance is no reason: a run then checks, and ends as observed. A postponed check (``is_postponed``) is no reason
    for an alert, which is news.
    """
    if state.azure_is_home:
        return "Azure is the home now (settled for good). To protect a primary site again, run `coldsite settle`."
    if kind == "failback":
        return _no_way_home(state)
    if kind == "drill" and state.active_site != "primary":
        return (
            "Azure is the active site; a drill would compete with it for machines. The way home is `coldsite failback`."
        )
    if kind == "failover" and state.active_site == "both":
        return (
            "A failover was interrupted during cutover. First set the active endpoint in Traffic Manager, then "
            "`coldsite settle`."
        )
    if kind == "failover" and state.retire and not state.protected_since_home:
        return (
            "Home has not been protected since the failback: the newest copy is on the machines of "
            f"{state.retire['run_id']} in Azure, from when customers moved home. To serve from them see "
            "docs/failback.md, If home fails again."
        )
    if kind == "failover" and state.active_site == "recovery":
        return "Azure is already the active site. The way home is `coldsite failback`; see docs/failback.md."
    return None


def _no_way_home(state: SiteState) -> str | None:
    if state.active_site == "primary":
        return "Customers are served from the primary site, so there is no failback to make."
    if state.active_site != "recovery":
        return "A cutover was interrupted. First set the active endpoint in Traffic Manager, then `coldsite settle`."
    if state.writes_stopped_by:
        return (
            f"The writes in Azure were stopped by {state.writes_stopped_by} and have not been resumed yet; Coldsite "
            "keeps trying. Start again once `coldsite` no longer warns of it."
        )
    return None


async def begin_run(
    engine: Engine,
    plan: RecoveryPlan,
    kind: Kind,
    mode: Mode,
    trigger: Trigger,
    reason: str,
    *,
    person: Person | None = None,
    recovery_point: str = "latest",
    acknowledge_primary_healthy: bool = False,
    evidence: Round | None = None,
    looks: list[Round] | None = None,
    rehearse: bool = False,
    not_before: datetime | None = None,
    replaces: Replacement | None = None,
) -> RecoveryRun:
    """Claims the plan, writes the run and starts its orchestration, in this order; each may be interrupted safely.

    ``replaces``: customers are served from Azure, and some of its machines are built again there.

    A run that this one may take the plan over from (``takes_over``) ends and cleans up by itself. Raises
    ``PlanBusyError`` when another run holds the plan, and ``RefusedError`` when the run would be unsafe.
    """
    now = datetime.now(UTC)
    state = await site_state.read_state(plan.name)
    if problem := _refused(state, kind, replaces):
        raise RefusedError(problem)
    over = None
    stale = await lock_is_stale(state, engine)
    if stale and state.active_run:
        state = await end_lost(plan, state.active_run, engine)
        if problem := _refused(state, kind, replaces):
            raise RefusedError(problem)
    preempts = not stale and await takes_over(state, kind, trigger)
    if preempts or stale:
        over = state.active_run
    run_id = ids.new_run_id(plan.name, kind, now)
    held = await site_state.take_lock(plan.name, run_id, kind, over)
    verdict = operator_verdict(evidence.evidence, plan.detection, evidence.at) if evidence else None
    run = RecoveryRun(
        run_id=run_id,
        plan=plan.name,
        plan_hash=plan.hash,
        recovery_hash=plan.recovery_hash,
        kind=kind,
        mode=mode,
        trigger=trigger,
        reason=reason,
        person=person.name if person else None,
        person_id=person.id if person else None,
        four_eyes=plan.detection.approval.four_eyes and trigger == "operator" and kind != "drill",
        phase=FIRST_PHASE[kind],
        verdict=verdict.sentence() if verdict else None,
        verdict_detail=verdict.model_dump(mode="json") if verdict else None,
        started_at=now,
        replaces=replaces.of_run if replaces else None,
        builds_again=replaces.workloads if replaces else [],
    )
    order = RunInput(
        run=held,
        kind=kind,
        mode=mode,
        trigger=trigger,
        reason=reason,
        person=person.name if person else None,
        person_id=person.id if person else None,
        requested_at=now,
        recovery_point=recovery_point,
        acknowledge_primary_healthy=acknowledge_primary_healthy,
        evidence=evidence,
        looks=looks or [],
        preempted=preempts and state.active_kind == "drill",
        rehearse=rehearse,
        not_before=not_before,
        serving=await serving_failover(plan, state) if kind == "failback" else None,
        replacement=replaces,
        plan=as_learned(plan, state.durations),
    )
    if evidence:  # Before the run reads the state, so that it knows of no outage that is over.
        with contextlib.suppress(ColdsiteError):  # It is for the status only, and no reason to refuse.
            await site_state.note_look(plan.name, evidence, plan.detection.quorum)
    try:
        if over and preempts:
            await engine.send(over, ids.EVENT_ABORT, {"by": run_id, "preempted": True})
        await open_run(run)
        await engine.start("rebuild_in_azure" if replaces else kind, run_id, order.model_dump(mode="json"))
    except BaseException:
        await _give_up(held, engine)
        raise
    return run


def _refused(state: SiteState, kind: Kind, replaces: Replacement | None) -> str | None:
    """As ``why_unsafe``; machines are built again only while customers are served from Azure."""
    if replaces is None:
        return why_unsafe(state, kind)
    if state.active_site != "recovery":
        return "Customers are not served from Azure any more; look again."
    if state.writes_stopped_by:
        return (
            f"The writes in Azure were stopped by {state.writes_stopped_by}, so its databases only look broken; "
            "Coldsite keeps trying to resume them. Look again once `coldsite` no longer warns of it."
        )
    return None


async def takes_over(state: SiteState, kind: Kind, trigger: Trigger) -> bool:
    """Whether a new run may take the plan from the run that holds it: a failover from a drill, and an operator's
    failover from an automatic one that is still checking the primary and has built nothing.
    """
    if kind != "failover" or state.active_run is None:
        return False
    if state.active_kind == "drill":
        return True
    try:
        holder = await read_run(state.active_run)
    except UnknownRunError:  # It has taken the plan and is just beginning.
        return False
    return trigger == "operator" and holder.trigger != "operator" and holder.phase is Phase.CONFIRMING


async def _give_up(held: RunRef, engine: Engine) -> None:
    """The run could not be started: releases the plan at once instead of leaving it to housekeeping. An error in this
    must not hide the cause. A run that the engine accepted without its answer arriving continues.
    """
    with contextlib.suppress(ColdsiteError):
        if await engine.state(held.run_id) != "unknown":
            return
        await site_state.release_lock(held)
        await end_orphan(held.run_id, "The run could not be started: the durable engine did not accept it.")


def is_postponed(state: SiteState, now: datetime) -> bool:
    """Whether the last run ended without a cutover, and the next check without news is not due yet."""
    return state.not_before is not None and now < state.not_before
