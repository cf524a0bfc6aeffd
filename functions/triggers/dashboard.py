"""GET /api/dashboard: the page, the document that its script polls; a run's report, a plan's evidence. Nothing acts on
GET.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import azure.durable_functions as df
import azure.functions as func

from functions.deployed_plans import PLANS
from functions.http.auth import Caller
from functions.http.endpoint import endpoint
from functions.http.responses import BadRequestError, answer, elsewhere, page, plan_of, problem, unchanged
from functions.web.page import (
    PageUpdate,
    document,
    evidence_page,
    policy,
    report_page,
    report_policy,
    run_document,
    whole_page,
)
from functions.web.status import Status, status
from shared.azure.compute import screen_of
from shared.models import errors, ids
from shared.models.resource_ids import compute_id
from shared.services.evidence_report import LONGEST, PlanEvidence, gather_evidence_of
from shared.services.report import RunReport, write_report

bp = df.Blueprint()


def _plan_of_run(run_id: str) -> str:
    name = ids.parse_run_id(run_id)
    if name is None or name.plan not in PLANS:
        raise errors.UnknownRunError
    return name.plan


def _polled(drawn: PageUpdate, req: func.HttpRequest) -> func.HttpResponse:
    headers = {name.lower(): value for name, value in dict(req.headers).items()}
    if headers.get("if-none-match") == drawn.tag:
        return unchanged(drawn.tag)
    return answer(drawn.model_dump(mode="json"), ETag=drawn.tag)


@endpoint(bp, "get", "/dashboard", "The page, for people", role="viewer", gives=str, media="text/html")
async def dashboard(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    drawn = await document(list(PLANS.values()), caller)
    return page(whole_page(drawn, "Coldsite", "/api/dashboard.json", caller), policy())


@endpoint(
    bp, "get", "/dashboard.json", "What the page polls; 304 while nothing changes", role="viewer", gives=PageUpdate
)
async def dashboard_document(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    return _polled(await document(list(PLANS.values()), caller), req)


@endpoint(bp, "get", "/status", "Every plan in a few words, for many Coldsites", role="viewer", gives=Status)
async def fleet_status(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    return answer((await status(PLANS.values())).model_dump(mode="json"))


@endpoint(
    bp,
    "get",
    "/dashboard/runs/{run_id}",
    "The page of one run, for people",
    role="viewer",
    gives=str,
    refuses=(404,),
    media="text/html",
)
async def dashboard_run(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    run_id = req.route_params.get("run_id", "")
    plan = PLANS[_plan_of_run(run_id)]
    drawn = await run_document(run_id, plan, caller)
    source = f"/api/dashboard/runs/{run_id}/document"
    return page(whole_page(drawn, f"Coldsite: {run_id}", source, caller), policy())


@endpoint(
    bp,
    "get",
    "/dashboard/runs/{run_id}/document",
    "What a run's page polls",
    role="viewer",
    gives=PageUpdate,
    refuses=(404,),
)
async def dashboard_run_document(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    run_id = req.route_params.get("run_id", "")
    plan = PLANS[_plan_of_run(run_id)]
    return _polled(await run_document(run_id, plan, caller), req)


@endpoint(
    bp,
    "get",
    "/runs/{run_id}/screens/{workload}",
    "A picture of a machine's screen: where it is, for an hour",
    role="operator",
    gives=None,
    status=302,
    refuses=(404,),
)
async def run_screen(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """Leads to Azure's picture. 404 where the run has no such machine any more, or Azure has no picture of it."""
    run_id, workload = req.route_params.get("run_id", ""), req.route_params.get("workload", "")
    plan = PLANS[_plan_of_run(run_id)]
    if workload not in plan.recovery.workloads:
        raise errors.UnknownRunError
    machine = compute_id(plan.recovery.resource_group, "virtualMachines", ids.machine_name(run_id, workload))
    picture = await screen_of(machine)
    if picture is None:
        return problem(404, f"There is no picture of {workload}: the machine is gone, or Azure has none yet.")
    return elsewhere(picture)


@endpoint(
    bp,
    "get",
    "/plans/{plan}/evidence",
    "Drills and failovers of a period, against the objectives",
    role="viewer",
    gives=PlanEvidence,
    refuses=(404, 422),
)
async def plan_evidence(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """JSON, or a page that prints where the caller prefers HTML. ``from`` and ``to`` are dates; by default a year."""
    plan, now = plan_of(req), datetime.now(UTC)
    until = _day(req.params.get("to"), "to") + timedelta(days=1) if req.params.get("to") else now
    since = _day(req.params.get("from"), "from") if req.params.get("from") else until - timedelta(days=365)
    if not timedelta(0) < until - since <= LONGEST:
        raise BadRequestError("from: must be before to, and at most ten years.", 422)
    found = await gather_evidence_of(plan, since, until)
    return page(evidence_page(found), report_policy()) if _prefers_html(req) else answer(found.model_dump(mode="json"))


def _day(text: str | None, name: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text or ""), time(), UTC)
    except ValueError:
        raise BadRequestError(f"{name}: needs a date, for example 2027-01-31.", 422) from None


def _prefers_html(req: func.HttpRequest) -> bool:
    headers = {name.lower(): value for name, value in dict(req.headers).items()}
    return "text/html" in headers.get("accept", "")


@endpoint(bp, "get", "/runs/{run_id}/report", "The report of a run", role="viewer", gives=RunReport, refuses=(404,))
async def run_report(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """JSON, or a page that prints where the caller prefers HTML."""
    run_id = req.route_params.get("run_id", "")
    report = await write_report(PLANS[_plan_of_run(run_id)], run_id)
    return page(report_page(report), report_policy()) if _prefers_html(req) else answer(report.model_dump(mode="json"))
