"""What the HTTP API shows of a plan: its status, its newest check, its replica, the runs in progress."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.http.schemas import NewestLook, PlanView, ReplicaView, WaitingRun
from shared.azure.recovery_points import recovery_points
from shared.models import errors
from shared.models.detection import Signal
from shared.models.evidence import Round, spoken_evidence
from shared.models.operations import PointInTime
from shared.models.orders import EvidenceOrder
from shared.models.plan import RecoveryPlan
from shared.models.runs import Outcome
from shared.models.steps import RunRef
from shared.probes.evidence import gather
from shared.store import alerts, site_state
from shared.store.runs import keeps_its_point, list_runs, read_run
from shared.store.site_state import SiteState

EVIDENCE_LIMIT = 10.0
"""Seconds. One pass of evidence must be quick enough for an interactive call."""
LONGEST_PROBE = timedelta(seconds=8)
_DRILLS_LOOKED_AT = 20


async def one_pass(plan: RecoveryPlan) -> Round:
    """Every signal asked once, ten seconds at most: a longer time-out is cut here, so that a dark site is reported as
    down and not as unknown.
    """
    order = EvidenceOrder.of(plan, RunRef(run_id="", plan=plan.name, epoch=0))
    signals = {name: _brief(signal) for name, signal in order.detection.signals.items()}
    brief = order.model_copy(update={"detection": order.detection.model_copy(update={"signals": signals})})
    return await gather(brief, EVIDENCE_LIMIT)


def _brief(signal: Signal) -> Signal:
    changes = {
        kind: probe.model_copy(update={"timeout": min(probe.timeout, LONGEST_PROBE)})
        for kind, probe in (("http", signal.http), ("sql", signal.sql))
        if probe is not None
    }
    return signal.model_copy(update=changes)


async def usable_points(plan: RecoveryPlan) -> list[PointInTime]:
    """The recovery points that a failover of this plan can use, newest first: complete sets that no run will delete."""
    needed = {f"{name}/{label}" for name in plan.recovery.workloads for label, _ in plan.workload_disks(name)}
    points = [p for p in await recovery_points(plan.recovery.resource_group, plan.name) if needed <= set(p.snapshots)]
    return [p for p in points if not p.run_id or await keeps_its_point(p.run_id)]


def shown(view: PlanView) -> dict[str, Any]:
    return view.model_dump(mode="json", exclude={n for n in ("hash", "plan", "events") if getattr(view, n) is None})


async def plan_view(plan: RecoveryPlan) -> PlanView:
    """The status of a plan, from stored state: no site and no Azure service is asked."""
    state, open_alerts, drills = await asyncio.gather(
        site_state.read_state(plan.name),
        alerts.count_open(plan.name),
        list_runs(plan.name, kind="drill", limit=_DRILLS_LOOKED_AT),
    )
    now = datetime.now(UTC)
    paused = state.paused_until is not None and state.paused_until > now
    postponed = state.not_before is not None and state.not_before > now
    return PlanView(
        name=plan.name,
        title=plan.title,
        mode=plan.detection.mode,
        active_site=state.active_site,
        primary_latched=state.latched,
        active_run=state.active_run,
        run=await _run_under_way(state),
        newest_look=_newest_look(state),
        replica=_replica_view(plan, state),
        last_good_drill=next((d.ended_at for d in drills if d.outcome is Outcome.SUCCEEDED), None),
        open_alerts=open_alerts,
        warnings=list(state.warnings.values()),
        next_look_not_before=state.not_before if postponed and not state.active_run else None,
        paused_until=state.paused_until if paused else None,
        pause_reason=state.pause_reason if paused else None,
    )


async def _run_under_way(state: SiteState) -> WaitingRun | None:
    if state.active_run is None:
        return None
    try:
        run = await read_run(state.active_run)
    except errors.UnknownRunError:  # It holds the lock, and its row is being written.
        return None
    return WaitingRun(**{name: getattr(run, name) for name in WaitingRun.model_fields})


def _newest_look(state: SiteState) -> NewestLook | None:
    look = state.last_look
    if look is None:
        return None
    return NewestLook(
        at=look.at, says=look.says, since=look.since, sentence=spoken_evidence(look.evidence), evidence=look.evidence
    )


def _replica_view(plan: RecoveryPlan, state: SiteState) -> ReplicaView:
    look = state.replica
    return ReplicaView(
        looked_at=look.at if look else None,
        state=look.state if look else "unknown",
        connected=look.connected if look else None,
        queue_bytes=look.queue_bytes if look else None,
        problem=look.problem if look else None,
        data_until=state.data_until,
        loss_limit=plan.loss_limit.total_seconds(),
    )
