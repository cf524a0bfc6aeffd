"""POST /api/alerts: Azure Monitor's action groups send the common alert schema here."""

from __future__ import annotations

import azure.durable_functions as df
import azure.functions as func

from functions.deployed_plans import PLANS
from functions.engine import DurableEngine
from functions.http.auth import FOR_ALERTS, check_alert_sender
from functions.http.responses import answer, answering, json_only
from shared.services.handle_alert import react_to_alert

bp = df.Blueprint()


@bp.route(route="alerts", methods=["POST"], auth_level=FOR_ALERTS)
@bp.durable_client_input(client_name="client")
async def alerts(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    return await _receive(req, client)


@answering
async def _receive(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """202 with the alert's result. An action group retries 503 and gives up on 500, so an outage answers 503.

    Source: MicrosoftDocs/azure-monitor-docs:articles/azure-monitor/alerts/action-groups.md
    """
    await check_alert_sender(req)
    json_only(req)
    told = await react_to_alert(req.get_body(), PLANS.values(), DurableEngine(client))
    location = {"Location": f"/api/runs/{told.run_id}"} if told.run_id else {}
    return answer(told.model_dump(mode="json"), 202, **location)
