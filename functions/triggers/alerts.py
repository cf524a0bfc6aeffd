"""POST /api/alerts: Azure Monitor's action groups send the common alert schema here."""

from __future__ import annotations

import azure.durable_functions as df
import azure.functions as func

from functions.deployed_plans import PLANS
from functions.engine import DurableEngine
from functions.http.auth import check_alert_sender
from functions.http.endpoint import endpoint
from functions.http.responses import answer, json_only
from shared.services.handle_alert import AlertAnswer, react_to_alert

bp = df.Blueprint()


@endpoint(
    bp,
    "post",
    "/alerts",
    "Receive an Azure Monitor alert",
    role=None,
    gives=AlertAnswer,
    status=202,
    refuses=(400, 413, 415, 422),
)
async def alerts(req: func.HttpRequest, engine: DurableEngine) -> func.HttpResponse:
    """202 with the alert's result. An action group retries 503 and gives up on 500, so an outage answers 503.

    Source: MicrosoftDocs/azure-monitor-docs:articles/azure-monitor/alerts/action-groups.md
    """
    await check_alert_sender(req)
    json_only(req)
    reaction = await react_to_alert(req.get_body(), PLANS.values(), engine)
    location = {"Location": f"/api/runs/{reaction.run_id}"} if reaction.run_id else {}
    return answer(reaction.model_dump(mode="json"), 202, **location)
