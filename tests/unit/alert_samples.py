"""Azure Monitor's alerts as Azure posts them, for the tests of reading and of meaning."""

from __future__ import annotations

import json
from typing import Any

from shared.models.alert import Alert
from shared.services.alert_schema import parse_alert
from tests.plans import contoso

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-00000000c01d"
PROFILE = contoso().traffic.profile
WORKSPACE = f"{SUBSCRIPTION}/resourceGroups/logs/providers/Microsoft.OperationalInsights/workspaces/logs"
ALERT_ID = f"{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/4c1a"


def sample(endpoint: str | None = "on-premises", plan: str | None = None, **essentials: Any) -> dict[str, Any]:
    """A metric alert as Azure posts it; ``essentials`` are changed on top."""
    dimensions = [{"name": "EndpointName", "value": endpoint}] if endpoint else []
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": ALERT_ID,
                "alertRule": "primary-degraded",
                "monitorCondition": "Fired",
                "monitoringService": "Platform",
                "alertTargetIDs": [PROFILE],
                "firedDateTime": "2027-01-15T20:00:00.0000000Z",
            }
            | essentials,
            "alertContext": {"condition": {"allOf": [{"dimensions": [{"name": "Region", "value": "x"}, *dimensions]}]}},
            "customProperties": {"coldsite-plan": plan} if plan else None,
        },
    }


RESOLVED = {"monitorCondition": "Resolved", "resolvedDateTime": "2027-01-15T21:00:00Z"}


def read(**changes: Any) -> Alert:
    return parse_alert(json.dumps(sample(**changes)).encode())
