"""HTTP for runs: answer or end a run, read the history."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import get_args

import azure.durable_functions as df
import azure.functions as func

from functions.deployed_plans import PLANS
from functions.engine import DurableEngine
from functions.http.auth import Caller, caller_of
from functions.http.endpoint import CHANGES, ApiOperation, endpoint, family
from functions.http.recovery_points import wanted_point
from functions.http.responses import BadRequestError, answer, read_request
from functions.http.run_actions import RUN_ACTIONS, refuse_approval_by_starter
from functions.http.schemas import (
    NoteRequest,
    RunView,
)
from shared.models import errors, ids
from shared.models.ids import Kind
from shared.models.runs import Phase, RecoveryRun
from shared.services.end_run import steps_of
from shared.store import events
from shared.store import runs as stored_runs
from shared.store.runs import update_run

bp = df.Blueprint()


def _too_late(run: RecoveryRun) -> str:
    if run.kind == "failback":
        return (
            "Customers are moving home or are there: home may have taken a write that Azure does not have, so there "
            "is no way back. Continue; if home fails, start a failover after `commit`."
        )
    return "Cutover in progress; the run can no longer be aborted and only goes forward."


@family(
    bp,
    "/runs/{run_id}/{action:alpha}",
    [
        ApiOperation(
            "post",
            f"/runs/{{run_id}}/{word}",
            action.summary,
            action.needs,
            RecoveryRun,
            NoteRequest,
            202,
            CHANGES,
        )
        for word, action in RUN_ACTIONS.items()
    ]
    + [
        ApiOperation(
            "post", "/runs/{run_id}/note", "Add a note to a run", "operator", RecoveryRun, NoteRequest, 202, CHANGES
        ),
        ApiOperation(
            "post",
            "/runs/{run_id}/acknowledge",
            "Say that you are on a run's question, so that it is not escalated",
            "operator",
            RecoveryRun,
            NoteRequest,
            202,
            CHANGES,
        ),
    ],
)
async def steer_run(req: func.HttpRequest, engine: DurableEngine) -> func.HttpResponse:
    """approve, reject, proceed, retry, commit, abort: an event for the run, refused where it would have no effect; a
    note; or an acknowledgement.

    The answer and its author are recorded before the event is sent to the run. A note is only recorded, at any time.
    """
    action = req.route_params.get("action", "")
    allowed = RUN_ACTIONS.get(action)
    caller = caller_of(req, allowed.needs if allowed else "operator")
    run = await stored_runs.read_run(req.route_params.get("run_id", ""))
    if action == "note":
        return await _take_note(run, caller, read_request(NoteRequest, req))
    if action == "acknowledge":
        return await _acknowledge(run, caller, read_request(NoteRequest, req))
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
    if run.replaces:
        raise errors.RefusedError(
            "This run builds machines again in Azure, where customers are. `abort` ends it and keeps what it built; "
            "then start it again with another recovery point."
        )
    if action != "retry" or run.kind != "failover" or run.mode == "planned":
        raise errors.RefusedError("Another recovery point is only for `retry` of a failover that is not planned.")
    if run.cutover.is_committed:
        raise errors.RefusedError("The cutover has begun, so the recovery point stays.")
    await wanted_point(PLANS[run.plan], point)


async def _take_note(run: RecoveryRun, caller: Caller, note: NoteRequest) -> func.HttpResponse:
    if not note.reason:
        raise BadRequestError("reason: the text of the note is missing.", 422)
    await events.record_event(run.plan, f"Note on run {run.run_id} by {caller.known_as}: {note.reason}")
    return answer(run.model_dump(mode="json"), 202, Location=f"/api/runs/{run.run_id}")


async def _acknowledge(run: RecoveryRun, caller: Caller, note: NoteRequest) -> func.HttpResponse:
    """Who is on it: the question is not escalated any more. The newest acknowledgement counts."""
    if run.outcome is not None or not run.waiting_for:
        raise errors.RefusedError("The run asks nothing, so there is nothing to acknowledge.", phase=run.phase.value)
    if note.question is not None and note.question != run.holds:
        raise errors.RefusedError("The run has asked another question since. Read it, then acknowledge again.")
    run = await update_run(
        run.run_id,
        acknowledged_by=caller.name,
        acknowledged_at=datetime.now(UTC),
    )
    why = f": {note.reason}" if note.reason else "."
    await events.record_event(run.plan, f"{caller.known_as} is on run {run.run_id}{why}")
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
