"""HTTP for plans: their status, checks and recovery points, and maintenance."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import azure.durable_functions as df
import azure.functions as func

from functions.deployed_plans import PLANS
from functions.http.auth import Caller
from functions.http.endpoint import CHANGES, endpoint, is_rehearsal
from functions.http.responses import BadRequestError, answer, plan_of, read_request
from functions.http.run_actions import refuse_unidentified
from functions.http.schemas import (
    Checked,
    PauseRequest,
    PlanView,
    PointView,
    SettleRequest,
)
from functions.http.views import plan_view, shown
from shared.models.durations import spoken
from shared.models.evidence import spoken_evidence
from shared.models.orders import Delivery
from shared.models.plan import TEXTS_OF_FILES
from shared.models.readiness import Readiness
from shared.policy.outage import round_view
from shared.services import settle as settling
from shared.services.announce import send_test
from shared.services.forecast import Forecast, forecast
from shared.services.look import look_briefly
from shared.services.readiness import readiness
from shared.services.settle import Settlement
from shared.services.usable_points import usable_points
from shared.services.verify_history import HistoryCheck, verify_history
from shared.store import events, site_state

bp = df.Blueprint()
LONGEST_PAUSE = timedelta(days=30)


@endpoint(
    bp,
    "post",
    "/plans/{plan}/pause",
    "Pause automatic failover",
    role="operator",
    takes=PauseRequest,
    gives=PlanView,
    refuses=CHANGES,
)
async def pause(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """Automatic failover is off until the pause ends, which it does by itself. A pause of 0s ends one at once.

    A postponed check becomes due: its result may no longer hold under the new pause, or without it.
    """
    plan, wanted = plan_of(req), read_request(PauseRequest, req)
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
    what = f"paused for {spoken(wanted.duration.total_seconds())}" if wanted.duration else "pause ended"
    await events.record_event(plan.name, f"Automatic failover: {what} by {caller.known_as}: {wanted.reason}")
    return answer(shown(await plan_view(plan)))


@endpoint(
    bp,
    "post",
    "/plans/{plan}/settle",
    "Attest where customers are served",
    role="operator",
    takes=SettleRequest,
    gives=Settlement,
    refuses=CHANGES,
    rehearses=Settlement,
)
async def settle(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """409 when Traffic Manager or the probes contradict it. ``?what_if=true`` checks and stores nothing."""
    plan, wanted = plan_of(req), read_request(SettleRequest, req)
    what_if = is_rehearsal(req)
    if not what_if:
        refuse_unidentified(plan, caller, "settlement")
    found = await settling.settle(
        plan, wanted.served_from, wanted.reason, caller, for_good=wanted.for_good, what_if=what_if
    )
    return answer(found.model_dump(mode="json"))


@endpoint(bp, "get", "/plans", "List all plans with their status", role="viewer", gives={"plans": [PlanView]})
async def list_plans(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    views = await asyncio.gather(*(plan_view(plan) for plan in PLANS.values()))
    return answer({"plans": [shown(view) for view in views]})


@endpoint(bp, "get", "/plans/{plan}", "Get one plan with its status", role="viewer", gives=PlanView, refuses=(404,))
async def read_plan(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    plan = plan_of(req)
    public = plan.model_dump(mode="json", exclude=TEXTS_OF_FILES)
    story = [event.model_dump(mode="json") for event in await events.list_events(plan.name)]
    view = await plan_view(plan)
    return answer(shown(view.model_copy(update={"hash": plan.hash, "plan": public, "events": story})))


@endpoint(
    bp, "get", "/plans/{plan}/check", "Run one pass of evidence now", role="viewer", gives=Checked, refuses=(404,)
)
async def check_plan(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """One pass of evidence, now: a blind check is found without stopping a shop."""
    plan = plan_of(req)
    seen = await look_briefly(plan)
    return answer(
        Checked(
            plan=plan.name,
            at=seen.at,
            says=round_view(seen.evidence, plan.detection.quorum).says,
            sentence=spoken_evidence(seen.evidence),
            evidence=seen.evidence,
        ).model_dump(mode="json")
    )


@endpoint(
    bp,
    "get",
    "/plans/{plan}/forecast",
    "Forecast a failover: duration, data at risk, blockers",
    role="viewer",
    gives=Forecast,
    refuses=(404,),
)
async def read_forecast(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """What a failover would do now, from stored state: no site and no Azure service is asked."""
    return answer((await forecast(plan_of(req), "failover")).model_dump(mode="json"))


@endpoint(
    bp,
    "get",
    "/plans/{plan}/readiness",
    "Find what would go wrong in a failover now",
    role="viewer",
    gives=Readiness,
    refuses=(404,),
)
async def read_readiness(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """Asks Azure and the primary site now, and changes nothing there."""
    return answer((await readiness(plan_of(req))).model_dump(mode="json"))


@endpoint(
    bp,
    "post",
    "/plans/{plan}/notify",
    "Send a test message to every address",
    role="operator",
    gives={"deliveries": [Delivery]},
    refuses=(404,),
)
async def try_notifications(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """What became of the message at each address; a failure is also a warning of the plan."""
    found = await send_test(plan_of(req), caller.name)
    return answer({"deliveries": [delivery.model_dump(mode="json") for delivery in found]})


@endpoint(
    bp,
    "get",
    "/plans/{plan}/history",
    "Verify that the history was not changed",
    role="viewer",
    gives=HistoryCheck,
    refuses=(404,),
)
async def check_history(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """Recomputes the chain of all documents; ``problems`` is empty when nothing was changed."""
    return answer((await verify_history(plan_of(req).name)).model_dump(mode="json"))


@endpoint(
    bp,
    "get",
    "/plans/{plan}/points",
    "List a plan's recovery points",
    role="viewer",
    gives={"points": [PointView]},
    refuses=(404,),
)
async def list_points(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    """The recovery points that a failover can use, newest first."""
    points = await usable_points(plan_of(req))
    views = [
        PointView(id=p.set_id, taken_at=p.taken_at, data_until=p.holds_until, consistency=p.consistency) for p in points
    ]
    return answer({"points": [view.model_dump(mode="json") for view in views]})
