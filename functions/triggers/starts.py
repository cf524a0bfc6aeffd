"""HTTP that starts runs: a failover, a drill, a failback."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import azure.durable_functions as df
import azure.functions as func

from functions.engine import DurableEngine
from functions.http.auth import Caller
from functions.http.endpoint import CHANGES, endpoint, is_rehearsal
from functions.http.recovery_points import wanted_point
from functions.http.responses import BadRequestError, answer, plan_of, read_request
from functions.http.run_actions import refuse_unidentified
from functions.http.schemas import DrillRequest, FailbackRequest, FailoverRequest
from shared.models import errors
from shared.models.durations import spoken_moment
from shared.models.evidence import Round
from shared.models.operations import PointInTime
from shared.models.plan import RecoveryPlan
from shared.models.runs import RecoveryRun
from shared.models.site_state import SiteState
from shared.policy.outage import primary_serves
from shared.policy.planned import never_drains, planned_limitation
from shared.services.forecast import Forecast, forecast, forecast_rebuild
from shared.services.forecast_failback import FailbackForecast, forecast_failback
from shared.services.look import look_briefly
from shared.services.lost_runs import end_lost, lock_is_stale
from shared.services.replacement import replacement
from shared.services.start_run import begin_run, takes_over, why_unsafe
from shared.store import site_state

bp = df.Blueprint()
_PLANNED_IN_AZURE = "Customers are served from Azure already. The way home is `coldsite failback`."
_PRIMARY_SERVES = (
    "The primary site is serving traffic. An unplanned failover would lose all changes that are not replicated before "
    "the cutover. A planned failover loses nothing. To start an unplanned failover anyway, acknowledge this: "
    "acknowledge_primary_healthy: true, or `--primary-is-healthy` on the command line."
)
LONGEST_WAIT = timedelta(days=30)


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
    if state.active_site == "recovery":
        return _started(await _build_again(plan, wanted, state, caller, engine))
    if wanted.workloads:
        raise BadRequestError("workloads: only while customers are served from Azure; a failover builds all.", 422)
    vain = never_drains(state.replica) if wanted.mode == "planned" else None
    if problem := why_unsafe(state, "failover") or vain:
        raise errors.RefusedError(problem)
    if (
        state.active_run
        and not await lock_is_stale(state, engine)
        and not await takes_over(state, "failover", "operator")
    ):
        raise errors.PlanBusyError(state.active_run)
    await wanted_point(plan, wanted.recovery_point)
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


async def _build_again(
    plan: RecoveryPlan, wanted: FailoverRequest, state: SiteState, caller: Caller, engine: DurableEngine
) -> RecoveryRun:
    """An accident in Azure: what fails there is built again from a recovery point, and customers stay in Azure."""
    if wanted.mode == "planned":
        raise errors.RefusedError(_PLANNED_IN_AZURE)
    if state.active_run:
        if not await lock_is_stale(state, engine):
            raise errors.PlanBusyError(state.active_run)
        state = await end_lost(plan, state.active_run, engine)  # What it built may be what is to be replaced.
    point = await _point_in_azure(plan, state, wanted.recovery_point)
    return await begin_run(
        engine,
        plan,
        "failover",
        wanted.mode,
        "operator",
        wanted.reason,
        person=caller,
        recovery_point=point.set_id,
        replaces=await replacement(plan, state, wanted.workloads),
    )


def _must_be_acknowledged(wanted: FailoverRequest, seen: Round) -> bool:
    return wanted.mode == "unplanned" and primary_serves(seen.evidence) and not wanted.acknowledge_primary_healthy


async def _rehearse(plan: RecoveryPlan, wanted: FailoverRequest) -> Forecast:
    """The forecast of this failover, with everything that would refuse it now."""
    state = await site_state.read_state(plan.name)
    if state.active_site == "recovery":
        return await _rehearse_again(plan, wanted, state)
    found, seen = await asyncio.gather(forecast(plan, "failover"), look_briefly(plan))
    blockers = [*found.blockers]
    if wanted.mode == "planned":
        limits = (planned_limitation(plan, wanted.recovery_point), never_drains(state.replica))
        blockers += [problem for problem in limits if problem]
    try:
        await wanted_point(plan, wanted.recovery_point)
    except errors.RefusedError as error:
        blockers.append(str(error))
    if _must_be_acknowledged(wanted, seen):
        blockers.append(_PRIMARY_SERVES)
    return found.model_copy(update={"blockers": blockers})


async def _rehearse_again(plan: RecoveryPlan, wanted: FailoverRequest, state: SiteState) -> Forecast:
    """The same while customers are served from Azure."""
    blockers = [_PLANNED_IN_AZURE] if wanted.mode == "planned" else []
    names: list[str] = []
    point: PointInTime | None = None
    try:
        names = (await replacement(plan, state, wanted.workloads)).workloads
        point = await _point_in_azure(plan, state, wanted.recovery_point)
    except errors.RefusedError as error:
        blockers.append(str(error))
    return await forecast_rebuild(plan, state, names, point, blockers)


async def _point_in_azure(plan: RecoveryPlan, state: SiteState, wanted: str) -> PointInTime:
    """The recovery point to build again from: by default only one that was taken in Azure, since everything since an
    older one is lost; an older one must be named. Raises ``RefusedError``.
    """
    point = await wanted_point(plan, "latest_good" if wanted == "latest" else wanted)
    assert point is not None
    if wanted == "latest" and state.latched_at and point.taken_at < state.latched_at:
        raise errors.RefusedError(
            f"No recovery point has been taken in Azure since customers moved there. The newest is {point.set_id}, of "
            f"{spoken_moment(point.holds_until or point.taken_at)}, from before; everything since then would be lost. "
            f"To use it all the same, name it: --recovery-point {point.set_id}."
        )
    return point


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
