"""HTTP for runs: start a failover or a drill, answer or end a run, read the history."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import get_args

import azure.durable_functions as df
import azure.functions as func

from functions.deployed_plans import PLANS
from functions.engine import DurableEngine
from functions.http.auth import Caller, caller_of
from functions.http.endpoint import CHANGES, Operation, endpoint, family, is_rehearsal
from functions.http.responses import BadRequestError, answer, plan_of, read_request
from functions.http.run_actions import RUN_ACTIONS, refuse_approval_by_starter, refuse_unidentified
from functions.http.schemas import (
    DrillRequest,
    FailbackRequest,
    FailoverRequest,
    NoteRequest,
    RunView,
)
from shared.models import errors, ids
from shared.models.evidence import Round
from shared.models.ids import Kind
from shared.models.plan import RecoveryPlan
from shared.models.runs import Phase, RecoveryRun
from shared.policy.loss import spoken_moment
from shared.policy.outage import primary_serves
from shared.policy.planned import never_drains, planned_limitation
from shared.policy.recovery_points import Candidate, choose
from shared.services.end_run import steps_of
from shared.services.forecast import Forecast, forecast
from shared.services.forecast_failback import FailbackForecast, forecast_failback
from shared.services.look import look_briefly
from shared.services.lost_runs import lock_is_stale
from shared.services.start_run import begin_run, refusal, takes_over
from shared.services.usable_points import usable_points
from shared.store import events, site_state
from shared.store import runs as stored_runs
from shared.store.runs import update_run

bp = df.Blueprint()
_PRIMARY_SERVES = (
    "The primary site is serving traffic. An unplanned failover would lose all changes that are not replicated before "
    "the cutover. A planned failover loses nothing. To start an unplanned failover anyway, acknowledge this: "
    "acknowledge_primary_healthy: true, or `--primary-is-healthy` on the command line."
)


LONGEST_WAIT = timedelta(days=30)


def _too_late(run: RecoveryRun) -> str:
    if run.kind == "failback":
        return (
            "Customers are moving home or are there: home may have taken a write that Azure does not have, so there "
            "is no "
            "way back. Continue; if home fails, start a failover after `commit`."
        )
    return "Cutover in progress; the run can no longer be aborted and only goes forward."


def _started(run: RecoveryRun) -> func.HttpResponse:
    return answer(run.model_dump(mode="json"), 202, Location=f"/api/runs/{run.run_id}")


@endpoint(
    bp,
    "post",
    "/plans/{plan}/failover",
    "Start a failover",
    role="operator",
    takes=FailoverRequest,
    gives=RecoveryRun,
    status=202,
    refuses=CHANGES,
    rehearses=Forecast,
)
async def start_failover(caller: Caller, req: func.HttpRequest, engine: DurableEngine) -> func.HttpResponse:
    """One pass of evidence, ten seconds at most, then 202. A serving primary must be acknowledged, else 409."""
    plan, wanted = plan_of(req), read_request(FailoverRequest, req)
    if is_rehearsal(req):
        return answer((await _rehearse(plan, wanted)).model_dump(mode="json"))
    if wanted.mode == "planned" and (problem := planned_limitation(plan, wanted.recovery_point)):
        raise errors.RefusedError(problem)
    refuse_unidentified(plan, caller, "failover")
    state = await site_state.read_state(plan.name)
    vain = never_drains(state.replica) if wanted.mode == "planned" else None
    if problem := refusal(state, "failover") or vain:
        raise errors.RefusedError(problem)
    if (
        state.active_run
        and not await lock_is_stale(state, engine)
        and not await takes_over(state, "failover", "operator")
    ):
        raise errors.PlanBusyError(state.active_run)
    await _point_is_there(plan, wanted.recovery_point)
    seen = await look_briefly(plan)
    if _must_be_acknowledged(wanted, seen):
        raise errors.RefusedError(_PRIMARY_SERVES, evidence=[e.model_dump(mode="json") for e in seen.evidence])
    run = await begin_run(
        engine,
        plan,
        "failover",
        wanted.mode,
        "operator",
        wanted.reason,
        person=caller,
        recovery_point=wanted.recovery_point,
        acknowledge_primary_healthy=wanted.acknowledge_primary_healthy,
        evidence=seen,
    )
    return _started(run)


def _must_be_acknowledged(wanted: FailoverRequest, seen: Round) -> bool:
    return wanted.mode == "unplanned" and primary_serves(seen.evidence) and not wanted.acknowledge_primary_healthy


async def _rehearse(plan: RecoveryPlan, wanted: FailoverRequest) -> Forecast:
    """The forecast of this failover, with everything that would refuse it now."""
    found, seen = await asyncio.gather(forecast(plan, "failover"), look_briefly(plan))
    blockers = [*found.blockers]
    if wanted.mode == "planned":
        state = await site_state.read_state(plan.name)
        limits = (planned_limitation(plan, wanted.recovery_point), never_drains(state.replica))
        blockers += [problem for problem in limits if problem]
    try:
        await _point_is_there(plan, wanted.recovery_point)
    except errors.RefusedError as error:
        blockers.append(str(error))
    if _must_be_acknowledged(wanted, seen):
        blockers.append(_PRIMARY_SERVES)
    return found.model_copy(update={"blockers": blockers})


async def _point_is_there(plan: RecoveryPlan, wanted: str) -> None:
    """A recovery point that is requested by name or by time must exist before anything is started."""
    if wanted == "latest":
        return
    if wanted.startswith("before:"):
        _moment(wanted.removeprefix("before:"))
    points = await usable_points(plan)
    candidates = [Candidate(set_id=p.set_id, taken_at=p.taken_at, consistency=p.consistency) for p in points]
    choice = choose(wanted, replica_usable=True, replica_says="", points=candidates, now=datetime.now(UTC))
    if choice.set_id is None:
        known = [{"id": p.set_id, "taken_at": p.taken_at.isoformat()} for p in points]
        newest = (
            f"The newest is {points[0].set_id} of {spoken_moment(points[0].taken_at)}" if points else "There is none"
        )
        raise errors.RefusedError(
            f"No recovery point matches {wanted!r}. {newest}; `coldsite points {plan.name}` lists them.",
            points=known,
        )


@endpoint(
    bp,
    "post",
    "/plans/{plan}/drill",
    "Start a drill (isolated test failover)",
    role="operator",
    takes=DrillRequest,
    gives=RecoveryRun,
    status=202,
    refuses=CHANGES,
    rehearses=Forecast,
)
async def start_drill(caller: Caller, req: func.HttpRequest, engine: DurableEngine) -> func.HttpResponse:
    plan, wanted = plan_of(req), read_request(DrillRequest, req)
    if is_rehearsal(req):
        return answer((await forecast(plan, "drill")).model_dump(mode="json"))
    return _started(await begin_run(engine, plan, "drill", "planned", "operator", wanted.reason, person=caller))


@endpoint(
    bp,
    "post",
    "/plans/{plan}/failback",
    "Start a failback: bring customers home",
    role="operator",
    takes=FailbackRequest,
    gives=RecoveryRun,
    status=202,
    refuses=CHANGES,
    rehearses=FailbackForecast,
)
async def start_failback(caller: Caller, req: func.HttpRequest, engine: DurableEngine) -> func.HttpResponse:
    """The run checks home, waits for the copy, and asks for a signature before it stops anything."""
    plan, wanted = plan_of(req), read_request(FailbackRequest, req)
    if is_rehearsal(req):
        return answer((await forecast_failback(plan)).model_dump(mode="json"))
    refuse_unidentified(plan, caller, "failback")
    if wanted.at and wanted.at - datetime.now(UTC) > LONGEST_WAIT:
        raise BadRequestError("at: a failback waits 30 days at most.", 422)
    run = await begin_run(
        engine,
        plan,
        "failback",
        "planned",
        "operator",
        wanted.reason,
        person=caller,
        rehearse=wanted.rehearse,
        not_before=wanted.at,
    )
    return _started(run)


@family(
    bp,
    "/runs/{run_id}/{action:alpha}",
    [
        Operation(
            "post",
            f"/runs/{{run_id}}/{word}",
            one.summary,
            one.needs,
            RecoveryRun,
            NoteRequest,
            202,
            CHANGES,
        )
        for word, one in RUN_ACTIONS.items()
    ]
    + [
        Operation(
            "post", "/runs/{run_id}/note", "Add a note to a run", "operator", RecoveryRun, NoteRequest, 202, CHANGES
        )
    ],
)
async def steer_run(req: func.HttpRequest, engine: DurableEngine) -> func.HttpResponse:
    """approve, reject, proceed, retry, commit, abort: an event for the run, refused where it would have no effect; or
    a note.

    The answer and its author are recorded before the event is sent to the run. A note is only recorded, at any time.
    """
    action = req.route_params.get("action", "")
    allowed = RUN_ACTIONS.get(action)
    caller = caller_of(req, allowed.needs if allowed else "operator")
    run = await stored_runs.read_run(req.route_params.get("run_id", ""))
    if action == "note":
        return await _take_note(run, caller, read_request(NoteRequest, req))
    if allowed is None:
        raise errors.UnknownRunError
    note = read_request(NoteRequest, req)
    if run.outcome is not None:
        message = f"The run has ended: {run.outcome.value.replace('_', ' ')}."
        raise errors.RefusedError(message, phase=run.phase.value)
    if action == "abort" and run.cutover.is_committed:
        raise errors.RefusedError(_too_late(run))
    if action != "abort" and run.abort_asked_by:
        raise errors.RefusedError(f"{run.abort_asked_by} has aborted the run; cleanup is in progress.")
    unasked = run.answers and action not in run.answers
    if (
        run.phase not in allowed.phases
        or (action in ("retry", "proceed") and unasked)
        or (action == "commit" and action not in run.answers)
    ):
        raise errors.RefusedError(_not_now(run, action, allowed.only), answers=list(run.answers), phase=run.phase.value)
    if note.question is not None and note.question != run.holds:
        raise errors.RefusedError("The run has asked another question since. Read it, then answer again.")
    if note.recovery_point:
        await _may_start_over(run, action, note.recovery_point)
    if action == "approve":
        refuse_approval_by_starter(run, caller)
    if action == "abort":
        # The row decides whether the abort or the cutover came first.
        run = await update_run(run.run_id, abort_asked_by=caller.name)
        if run.abort_asked_by is None:
            raise errors.RefusedError(_too_late(run) if run.cutover.is_committed else "The run has just ended.")
    why = f": {note.reason}" if note.reason else "."
    await events.record_event(run.plan, f"{action.capitalize()} of run {run.run_id} by {caller.known_as}{why}")
    another = {"recovery_point": note.recovery_point} if note.recovery_point else {}
    payload = {"by": caller.name, "reason": note.reason, "hold": run.holds, **another}
    await engine.send(run.run_id, allowed.event, payload)
    return answer(run.model_dump(mode="json"), 202, Location=f"/api/runs/{run.run_id}")


async def _may_start_over(run: RecoveryRun, action: str, point: str) -> None:
    """Another recovery point only where nothing is decided by it yet. Raises ``RefusedError``."""
    if action != "retry" or run.kind != "failover" or run.mode == "planned":
        raise errors.RefusedError("Another recovery point is only for `retry` of a failover that is not planned.")
    if run.cutover.is_committed:
        raise errors.RefusedError("The cutover has begun, so the recovery point stays.")
    await _point_is_there(PLANS[run.plan], point)


async def _take_note(run: RecoveryRun, caller: Caller, note: NoteRequest) -> func.HttpResponse:
    if not note.reason:
        raise BadRequestError("reason: the text of the note is missing.", 422)
    await events.record_event(run.plan, f"Note on run {run.run_id} by {caller.known_as}: {note.reason}")
    return answer(run.model_dump(mode="json"), 202, Location=f"/api/runs/{run.run_id}")


def _not_now(run: RecoveryRun, action: str, only: str) -> str:
    """Why an action is not valid now, and which one is."""
    if run.phase is Phase.CLEANING_UP:
        return "The run is ending; cleanup is in progress."
    phase = run.phase.value.replace("_", " ")
    message = f"`{action}` is only valid while a run {only} (current phase: {phase})."
    if run.waiting_for and run.answers:
        ways = " or ".join(f"`coldsite {word} {run.run_id}`" for word in run.answers)
        return f"{message} This run waits for another answer: {run.waiting_for} Use {ways}."
    return f"{message} No answer is required."


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequestError(
            "recovery_point: before: needs a time, for example before:2027-01-15T20:00:00Z", 422
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _place(run_id: str) -> str:
    """The sort key of a run among all, newest first: the order in which ``before`` pages."""
    name = ids.parse_run_id(run_id)
    return name.row_key if name else run_id


@endpoint(
    bp,
    "get",
    "/runs",
    "List runs, newest first",
    role="viewer",
    gives={"runs": [RecoveryRun]},
    refuses=(404, 422),
)
async def list_runs(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
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
    if before and ids.parse_run_id(before) is None:
        raise errors.UnknownRunError
    found = await asyncio.gather(*(stored_runs.list_runs(name, kind, limit, before) for name in chosen))
    runs = sorted((run for part in found for run in part), key=lambda run: _place(run.run_id))[:limit]
    return answer({"runs": [run.model_dump(mode="json") for run in runs]})


@endpoint(bp, "get", "/runs/{run_id}", "Get one run with its steps", role="viewer", gives=RunView, refuses=(404,))
async def read_run(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    run_id = req.route_params.get("run_id", "")
    run = await stored_runs.read_run(run_id)
    steps = await steps_of(run)
    return answer(RunView(**run.model_dump(), steps=steps).model_dump(mode="json"))
