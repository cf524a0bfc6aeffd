"""HTTP for people and tools that read: plans and their status, checks, recovery points, runs. GET never acts."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import azure.durable_functions as df
import azure.functions as func

from functions.auth import FOR_PEOPLE, Caller
from functions.http import PLANS, BadRequestError, allowed, answer, plan_of
from functions.requests import Checked, NewestLook, PlanView, PointView, ReplicaView, RunView, WaitingRun
from shared import errors, names
from shared.cloud.compute import PointInTime, recovery_points
from shared.evidence import EvidenceOrder, gather
from shared.names import Kind
from shared.plan import RecoveryPlan, Signal
from shared.policy.outage import Round, spoken_evidence, view
from shared.records import alert_log, events, journal, site_state
from shared.records.site_state import SiteState
from shared.runs import Outcome, RunRef

bp = df.Blueprint()
EVIDENCE_LIMIT = 10.0
"""Seconds. One pass of evidence must not keep a person waiting."""
LONGEST_PROBE = timedelta(seconds=8)
_DRILLS_LOOKED_AT = 20


async def one_pass(plan: RecoveryPlan) -> Round:
    """Every signal asked once, ten seconds at most: a probe with more patience gets less here, so that a dark site is
    called down and not unknown.
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
    """The recovery points that a failover of this plan can use, newest first: whole sets that no run will remove."""
    needed = {f"{name}/{label}" for name in plan.recovery.workloads for label, _ in plan.workload_disks(name)}
    points = [p for p in await recovery_points(plan.recovery.resource_group, plan.name) if needed <= set(p.snapshots)]
    return [p for p in points if not p.run_id or await journal.keeps_its_point(p.run_id)]


@bp.route(route="plans", methods=["GET"], auth_level=FOR_PEOPLE)
async def list_plans(req: func.HttpRequest) -> func.HttpResponse:
    return await _list_plans(req)


@allowed("viewer")
async def _list_plans(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    views = await asyncio.gather(*(plan_view(plan) for plan in PLANS.values()))
    return answer({"plans": [shown(view) for view in views]})


@bp.route(route="plans/{plan}", methods=["GET"], auth_level=FOR_PEOPLE)
async def read_plan(req: func.HttpRequest) -> func.HttpResponse:
    return await _read_plan(req)


@allowed("viewer")
async def _read_plan(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    plan = plan_of(req)
    public = plan.model_dump(mode="json", exclude={"query_texts": True, "replication": {"script_texts"}})
    told = [event.model_dump(mode="json") for event in await events.list_events(plan.name)]
    view = await plan_view(plan)
    return answer(shown(view.model_copy(update={"hash": plan.hash, "plan": public, "events": told})))


def shown(view: PlanView) -> dict[str, Any]:
    return view.model_dump(mode="json", exclude={n for n in ("hash", "plan", "events") if getattr(view, n) is None})


async def plan_view(plan: RecoveryPlan) -> PlanView:
    """The status of a plan, from what is remembered: nothing is asked anew."""
    state, open_alerts, drills = await asyncio.gather(
        site_state.read_state(plan.name),
        alert_log.count_open(plan.name),
        journal.list_runs(plan.name, kind="drill", limit=_DRILLS_LOOKED_AT),
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
        run = await journal.read_run(state.active_run)
    except errors.UnknownRunError:  # It has the lock, and its row is being written.
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


@bp.route(route="plans/{plan}/check", methods=["GET"], auth_level=FOR_PEOPLE)
async def check_plan(req: func.HttpRequest) -> func.HttpResponse:
    return await _check_plan(req)


@allowed("viewer")
async def _check_plan(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """One pass of evidence, now: so that no shop must be stopped to learn that a check is blind."""
    plan = plan_of(req)
    seen = await one_pass(plan)
    return answer(
        Checked(
            plan=plan.name,
            at=seen.at,
            says=view(seen.evidence, plan.detection.quorum).says,
            sentence=spoken_evidence(seen.evidence),
            evidence=seen.evidence,
        ).model_dump(mode="json")
    )


@bp.route(route="plans/{plan}/points", methods=["GET"], auth_level=FOR_PEOPLE)
async def list_points(req: func.HttpRequest) -> func.HttpResponse:
    return await _list_points(req)


@allowed("viewer")
async def _list_points(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """The recovery points that a failover can use, newest first."""
    points = await usable_points(plan_of(req))
    views = [
        PointView(id=p.set_id, taken_at=p.taken_at, data_until=p.holds_until, consistency=p.consistency) for p in points
    ]
    return answer({"points": [view.model_dump(mode="json") for view in views]})


def _place(run_id: str) -> str:
    """Where a run stands among all, newest first: in the order in which ``before`` goes on."""
    name = names.parse_run_id(run_id)
    return name.row_key if name else run_id


@bp.route(route="runs", methods=["GET"], auth_level=FOR_PEOPLE)
async def list_runs(req: func.HttpRequest) -> func.HttpResponse:
    return await _list_runs(req)


@allowed("viewer")
async def _list_runs(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """Newest first; ``plan``, ``kind``, ``limit`` (at most 200) and ``before`` (a run id) narrow it down."""
    query = req.params
    if query.get("plan") and query["plan"] not in PLANS:
        raise errors.UnknownPlanError
    kind = query.get("kind")
    if kind and kind not in get_args(Kind):
        raise BadRequestError(f"kind is not one of {', '.join(get_args(Kind))}.", 422)
    asked = query.get("limit", "50")
    if not re.fullmatch(r"-?[0-9]{1,30}", asked):
        raise BadRequestError("limit is not a number.", 422)
    limit = min(int(asked), 200)
    if limit < 1:
        raise BadRequestError("limit is at least 1.", 422)
    before = query.get("before")
    chosen = [query["plan"]] if query.get("plan") else list(PLANS)
    if before and names.parse_run_id(before) is None:
        raise errors.UnknownRunError
    found = await asyncio.gather(*(journal.list_runs(name, kind, limit, before) for name in chosen))
    runs = sorted((run for part in found for run in part), key=lambda run: _place(run.run_id))[:limit]
    return answer({"runs": [run.model_dump(mode="json") for run in runs]})


@bp.route(route="runs/{run_id}", methods=["GET"], auth_level=FOR_PEOPLE)
async def read_run(req: func.HttpRequest) -> func.HttpResponse:
    return await _read_run(req)


@allowed("viewer")
async def _read_run(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    run_id = req.route_params.get("run_id", "")
    run, steps = await asyncio.gather(journal.read_run(run_id), journal.read_steps(run_id))
    return answer(RunView(**run.model_dump(), steps=steps).model_dump(mode="json"))
