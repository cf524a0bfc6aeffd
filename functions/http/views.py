"""What the HTTP API shows of a plan: its status, its newest check, its replica, the runs in progress."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from functions.http.schemas import NewestLook, PlanView, ReplicaView, ResolverView, WaitingRun
from shared.models import errors
from shared.models.evidence import spoken_evidence
from shared.models.plan import RecoveryPlan
from shared.models.site_state import SiteState
from shared.services.resolvers import FOLLOWS_FOR, SILENT
from shared.store import alerts, site_state
from shared.store.runs import last_good_drill, read_run


def shown(view: PlanView) -> dict[str, Any]:
    return view.model_dump(mode="json", exclude={n for n in ("hash", "plan", "events") if getattr(view, n) is None})


async def plan_view(plan: RecoveryPlan) -> PlanView:
    """The status of a plan, from stored state: no site and no Azure service is asked."""
    state, open_alerts, good_drill = await asyncio.gather(
        site_state.read_state(plan.name),
        alerts.count_open(plan.name),
        last_good_drill(plan.name),
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
        azure_is_home=state.azure_is_home,
        active_run=state.active_run,
        run=await _run_under_way(state),
        newest_look=_newest_look(state),
        replica=_replica_view(plan, state),
        last_good_drill=good_drill.ended_at if good_drill else None,
        open_alerts=open_alerts,
        down_since=state.down_since if state.active_site == "primary" else None,
        moved_at=state.moved_at,
        resolvers=_resolvers(state),
        last_point_at=state.last_point_at,
        protected=_is_protected(plan, state, now),
        retiring=state.retire.get("run_id"),
        short_failures=state.short_failures,
        short_failure_at=state.short_failure_at,
        warnings=list(state.warnings.values()),
        next_look_not_before=state.not_before if postponed and not state.active_run else None,
        paused_until=state.paused_until if paused else None,
        pause_reason=state.pause_reason if paused else None,
    )


def _resolvers(state: SiteState) -> list[ResolverView]:
    moved = state.moved_at
    if moved is None or state.resolvers.get("moved_at") != moved.isoformat():
        return []
    over = datetime.now(UTC) - moved > FOLLOWS_FOR
    named = {name: at for name, at in state.resolvers.items() if name != "moved_at"}
    return [
        ResolverView(
            name=name,
            seen_at=datetime.fromisoformat(at) if at not in ("", SILENT) else None,
            silent=at == SILENT,
        )
        for name, at in named.items()
        if not over or at not in ("", SILENT)
    ]


def _is_protected(plan: RecoveryPlan, state: SiteState, now: datetime) -> bool:
    rhythm = plan.replication.recovery_points
    return state.protected_since_home and bool(
        rhythm and state.last_point_at and now - state.last_point_at <= 2 * rhythm.every
    )


async def _run_under_way(state: SiteState) -> WaitingRun | None:
    if state.active_run is None:
        return None
    try:
        run = await read_run(state.active_run)
    except errors.UnknownRunError:  # It holds the lock, and its row is being written.
        return None
    facts = {name: getattr(run, name) for name in WaitingRun.model_fields}
    if not run.is_acknowledged:
        facts |= {"acknowledged_by": None, "acknowledged_at": None}
    return WaitingRun(**facts)


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
