"""HTTP for people and tools: start, approve, reject, abort, retry, pause, and read.

A viewer reads, an operator starts, pauses, retries and aborts, an approver approves and rejects.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import azure.durable_functions as df
import azure.functions as func
from pydantic import ValidationError

from functions.auth import FOR_PEOPLE, Caller, caller_of
from functions.http import PLANS, BadRequestError, allowed, answer, answering, body_of, plan_of
from functions.hub import DurableHub
from functions.requests import STEERING, DrillRequest, FailoverRequest, NoteRequest, PauseRequest, PlanView, RunView
from shared import errors, names
from shared.durations import spoken
from shared.evidence import EvidenceOrder, gather
from shared.names import Kind
from shared.plan import RecoveryPlan, Strict
from shared.policy.outage import Round, primary_serves
from shared.records import alert_log, events, journal, site_state
from shared.runs import RecoveryRun, RunRef
from shared.starting import begin_run, lock_is_stale, refusal

bp = df.Blueprint()
EVIDENCE_LIMIT = 10.0
"""Seconds. One pass of evidence precedes an operator's failover, and must not keep a person waiting."""


LONGEST_PAUSE = timedelta(days=30)
_TOO_LATE = "The customers are being moved; from here it only goes forward. Retry instead."


def _read[T: Strict](model: type[T], req: func.HttpRequest) -> T:
    try:
        return model.model_validate(body_of(req))
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise BadRequestError(f"The body does not fit: {told}", 422) from None


def _started(run: RecoveryRun) -> func.HttpResponse:
    return answer(run.model_dump(mode="json"), 202, Location=f"/api/runs/{run.run_id}")


@bp.route(route="plans/{plan}/failover", methods=["POST"], auth_level=FOR_PEOPLE)
@bp.durable_client_input(client_name="client")
async def start_failover(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    return await _start_failover(req, DurableHub(client))


@allowed("operator")
async def _start_failover(caller: Caller, req: func.HttpRequest, hub: DurableHub) -> func.HttpResponse:
    """One pass of evidence, ten seconds at most, then 202. A primary that serves must be acknowledged, else 409."""
    plan, wanted = plan_of(req), _read(FailoverRequest, req)
    if wanted.recovery_point.startswith("before:"):
        _moment(wanted.recovery_point.removeprefix("before:"))
    if plan.detection.approval.four_eyes and caller.id is None:
        raise errors.AccessError(
            409,
            "The plan asks for four eyes, and a function key names nobody. Let people sign in (COLDSITE_SIGN_IN), or "
            "leave detection.approval.four_eyes off.",
            f"a failover of {plan.name} with a function key, where four eyes are asked for",
        )
    state = await site_state.read_state(plan.name)
    if problem := refusal(state, "failover"):
        raise errors.RefusedError(problem)
    if state.active_run and state.active_kind != "drill" and not await lock_is_stale(state, hub):
        raise errors.PlanBusyError(state.active_run)
    seen = await _one_pass(plan)
    if wanted.mode == "unplanned" and primary_serves(seen.evidence) and not wanted.acknowledge_primary_healthy:
        raise errors.RefusedError(
            "The primary site serves. An unplanned failover would lose what is not yet replicated; to do it all the "
            "same, send acknowledge_primary_healthy: true.",
            evidence=[e.model_dump(mode="json") for e in seen.evidence],
        )
    run = await begin_run(
        hub,
        plan,
        "failover",
        wanted.mode,
        "operator",
        wanted.reason,
        person=caller,
        recovery_point=wanted.recovery_point,
        acknowledge_primary_healthy=wanted.acknowledge_primary_healthy or wanted.mode == "planned",
        evidence=seen,
    )
    return _started(run)


async def _one_pass(plan: RecoveryPlan) -> Round:
    order = EvidenceOrder.of(plan, RunRef(run_id="", plan=plan.name, epoch=0))
    return await gather(order, EVIDENCE_LIMIT)


@bp.route(route="plans/{plan}/drill", methods=["POST"], auth_level=FOR_PEOPLE)
@bp.durable_client_input(client_name="client")
async def start_drill(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    return await _start_drill(req, DurableHub(client))


@allowed("operator")
async def _start_drill(caller: Caller, req: func.HttpRequest, hub: DurableHub) -> func.HttpResponse:
    plan, wanted = plan_of(req), _read(DrillRequest, req)
    return _started(await begin_run(hub, plan, "drill", "planned", "operator", wanted.reason, person=caller))


@bp.route(route="plans/{plan}/pause", methods=["POST"], auth_level=FOR_PEOPLE)
async def pause(req: func.HttpRequest) -> func.HttpResponse:
    return await _pause(req)


@allowed("operator")
async def _pause(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """Nothing fails over by itself until the pause ends; it ends by itself. A pause of 0s ends one at once.

    A look that was postponed becomes due: what it found may no longer hold under the new pause, or without it.
    """
    plan, wanted = plan_of(req), _read(PauseRequest, req)
    if wanted.duration > LONGEST_PAUSE:
        raise BadRequestError("for: a pause lasts 30 days at most.", 422)
    until = datetime.now(UTC) + wanted.duration
    await site_state.change_state(
        plan.name,
        lambda _: {
            "paused_until": until,
            "pause_reason": f"{wanted.reason} ({caller.name})",
            "not_before": None,
        },
    )
    what = f"paused for {spoken(wanted.duration.total_seconds())}" if wanted.duration else "the pause was ended"
    await events.record_event(plan.name, f"Automatic failover: {what} by {caller.known_as}: {wanted.reason}")
    return answer(_shown(await _state_view(plan)))


@bp.route(route="runs/{run_id}/{action:alpha}", methods=["POST"], auth_level=FOR_PEOPLE)
@bp.durable_client_input(client_name="client")
async def steer_run(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    return await _steer(req, DurableHub(client))


@answering
async def _steer(req: func.HttpRequest, hub: DurableHub) -> func.HttpResponse:
    """approve, reject, retry, abort: an event for the run, refused where it would have no effect.

    Who said what is written down before it is said to the run.
    """
    action = req.route_params.get("action", "")
    steering = STEERING.get(action)
    caller = caller_of(req, steering.needs if steering else "operator")
    run = await journal.read_run(req.route_params.get("run_id", ""))
    if steering is None:
        raise errors.UnknownRunError
    note = _read(NoteRequest, req)
    if run.outcome is not None:
        raise errors.RefusedError(f"The run has ended: {run.outcome.value}.", phase=run.phase.value)
    if action == "abort" and run.cutover_began:
        raise errors.RefusedError(_TOO_LATE)
    if action != "abort" and run.abort_asked_by:
        raise errors.RefusedError(f"{run.abort_asked_by} has ended the run; it is being cleared away.")
    if run.phase not in steering.phases:
        raise errors.RefusedError(f"Only a run that {steering.only} can be told so; this one is {run.phase.value}.")
    if action == "approve":
        _four_eyes(run, caller)
    if action == "abort":
        # The row decides whether the abort or the cutover came first.
        run = await journal.update_run(run.run_id, abort_asked_by=caller.name)
        if run.abort_asked_by is None:
            raise errors.RefusedError(_TOO_LATE if run.cutover_began else "The run has just ended.")
    why = f": {note.reason}" if note.reason else "."
    await events.record_event(run.plan, f"{action.capitalize()} of run {run.run_id} by {caller.known_as}{why}")
    told = {"by": caller.name, "reason": note.reason, "hold": run.holds}
    await hub.send(run.run_id, steering.event, told)
    return answer(run.model_dump(mode="json"), 202, Location=f"/api/runs/{run.run_id}")


def _four_eyes(run: RecoveryRun, caller: Caller) -> None:
    """Whoever started a run may not approve it, where its plan asked for that; alerts and the watch are nobody."""
    if run.four_eyes and (caller.id is None or caller.id == run.person_id):
        raise errors.AccessError(
            409,
            f"The plan asks for four eyes: {run.person} started this run. Ask a second approver.",
            f"{caller.name} ({caller.id}) started {run.run_id} and tried to approve it",
        )


@bp.route(route="plans", methods=["GET"], auth_level=FOR_PEOPLE)
async def list_plans(req: func.HttpRequest) -> func.HttpResponse:
    return await _list_plans(req)


@allowed("viewer")
async def _list_plans(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    views = await asyncio.gather(*(_state_view(plan) for plan in PLANS.values()))
    return answer({"plans": [_shown(view) for view in views]})


@bp.route(route="plans/{plan}", methods=["GET"], auth_level=FOR_PEOPLE)
async def read_plan(req: func.HttpRequest) -> func.HttpResponse:
    return await _read_plan(req)


@allowed("viewer")
async def _read_plan(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    plan = plan_of(req)
    shown = plan.model_dump(mode="json", exclude={"query_texts": True, "replication": {"script_texts"}})
    told = [event.model_dump(mode="json") for event in await events.list_events(plan.name)]
    view = await _state_view(plan)
    return answer(_shown(view.model_copy(update={"hash": plan.hash, "plan": shown, "events": told})))


def _shown(view: PlanView) -> dict[str, Any]:
    return view.model_dump(mode="json", exclude={n for n in ("hash", "plan", "events") if getattr(view, n) is None})


async def _state_view(plan: RecoveryPlan) -> PlanView:
    state, open_alerts = await asyncio.gather(site_state.read_state(plan.name), alert_log.count_open(plan.name))
    paused = state.paused_until is not None and state.paused_until > datetime.now(UTC)
    return PlanView(
        name=plan.name,
        title=plan.title,
        mode=plan.detection.mode,
        active_site=state.active_site,
        primary_latched=state.latched,
        active_run=state.active_run,
        open_alerts=open_alerts,
        warnings=list(state.warnings.values()),
        next_look_not_before=state.not_before,
        paused_until=state.paused_until if paused else None,
        pause_reason=state.pause_reason if paused else None,
    )


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
    limit = min(max(int(asked), 1), 200)
    before = query.get("before")
    chosen = [query["plan"]] if query.get("plan") else list(PLANS)
    if before:
        parsed = names.parse_run_id(before)
        if parsed is None:
            raise errors.UnknownRunError
        chosen = [name for name in chosen if name == parsed.plan]
    found = await asyncio.gather(*(journal.list_runs(name, kind, limit, before) for name in chosen))
    runs = sorted((run for part in found for run in part), key=lambda run: run.started_at, reverse=True)[:limit]
    return answer({"runs": [run.model_dump(mode="json") for run in runs]})


@bp.route(route="runs/{run_id}", methods=["GET"], auth_level=FOR_PEOPLE)
async def read_run(req: func.HttpRequest) -> func.HttpResponse:
    return await _read_run(req)


@allowed("viewer")
async def _read_run(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    run_id = req.route_params.get("run_id", "")
    run, steps = await asyncio.gather(journal.read_run(run_id), journal.read_steps(run_id))
    return answer(RunView(**run.model_dump(), steps=steps).model_dump(mode="json"))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequestError(
            "recovery_point: before: needs a time, for example before:2027-01-15T20:00:00Z", 422
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
