"""Azure Monitor's common alert schema: parse, match to a plan, classify, recognise repetitions.

Source: MicrosoftDocs/azure-monitor-docs:articles/azure-monitor/alerts/{alerts-common-schema,alerts-payload-samples}.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from shared.errors import AlertTooLargeError, MalformedAlertError, UnusableAlertError
from shared.limits import OverLimitError, read_json
from shared.plan import RecoveryPlan, Strict

MAX_BYTES = 256 * 1024
MAX_TEXT = 1000
SCHEMA = "azureMonitorCommonAlertSchema"
ENDPOINT_DIMENSION = "EndpointName"
PLAN_PROPERTY = "coldsite-plan"

Meaning = Literal["primary_down", "primary_resolved", "noted"]


class Alert(Strict):
    """What Coldsite needs of an alert. ``dedupe_key`` is equal for a repetition of the same news."""

    alert_id: str
    rule: str
    condition: Literal["Fired", "Resolved"]
    service: str
    targets: list[str]
    endpoint: str | None
    plan_hint: str | None
    dedupe_key: str


def parse_alert(body: bytes) -> Alert:
    """Reads a webhook body.

    Raises ``AlertTooLargeError`` beyond 256 KiB, ``MalformedAlertError`` for what is not JSON, and
    ``UnusableAlertError`` for another schema or for missing essentials (budget alerts carry nulls).
    """
    if len(body) > MAX_BYTES:
        raise AlertTooLargeError(
            f"The body is longer than {MAX_BYTES // 1024} KiB, which no alert of Azure Monitor is."
        )
    try:
        data = read_json(body)
    except OverLimitError as error:
        raise UnusableAlertError(f"The body is {error}, which no alert of Azure Monitor is.") from error
    except ValueError as error:
        raise MalformedAlertError(
            "The body is not JSON. Point an Azure Monitor action group's webhook here."
        ) from error
    if not isinstance(data, dict) or data.get("schemaId") != SCHEMA:
        raise UnusableAlertError(
            f"Not the common alert schema: expected schemaId {SCHEMA}. Enable it in the action group."
        )
    content = _mapping(data.get("data"))
    essentials = _mapping(content.get("essentials"))
    alert_id, rule = _text(essentials, "alertId"), _text(essentials, "alertRule")
    condition, service = _text(essentials, "monitorCondition"), _text(essentials, "monitoringService")
    targets = essentials.get("alertTargetIDs")
    missing = [
        name
        for name, value in (
            ("alertId", alert_id),
            ("alertRule", rule),
            ("monitorCondition", condition),
            ("monitoringService", service),
        )
        if not value
    ]
    if not isinstance(targets, list) or not targets or not all(isinstance(t, str) and t for t in targets):
        missing.append("alertTargetIDs")
    if missing or not alert_id or not rule or not service:
        raise UnusableAlertError(
            f"data.essentials lacks {', '.join(missing)}. Coldsite cannot tell what the alert is about."
        )
    if condition not in ("Fired", "Resolved"):
        raise UnusableAlertError("data.essentials.monitorCondition is neither Fired nor Resolved.")
    properties = _mapping(data.get("customProperties") or content.get("customProperties"))
    hint = properties.get(PLAN_PROPERTY)
    moment = _text(essentials, "resolvedDateTime" if condition == "Resolved" else "firedDateTime") or ""
    key = "|".join([alert_id.lower(), condition, moment])
    return Alert(
        alert_id=alert_id.lower(),
        rule=rule,
        condition="Fired" if condition == "Fired" else "Resolved",
        service=service,
        targets=[target.lower().rstrip("/") for target in targets or []],
        endpoint=_endpoint(_mapping(content.get("alertContext"))),
        plan_hint=hint if isinstance(hint, str) else None,
        dedupe_key=hashlib.sha256(key.encode()).hexdigest()[:32],
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(mapping: Mapping[str, Any], key: str) -> str | None:
    """A text that is there and can be stored: half a surrogate pair or a page of text cannot."""
    value = mapping.get(key)
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > MAX_TEXT:
        return None
    return value.strip()


def _endpoint(context: Mapping[str, Any]) -> str | None:
    """The EndpointName dimension of a metric alert, wherever its conditions put it."""
    conditions = _mapping(context.get("condition")).get("allOf")
    for condition in conditions if isinstance(conditions, list) else []:
        dimensions = _mapping(condition).get("dimensions")
        for dimension in dimensions if isinstance(dimensions, list) else []:
            if _mapping(dimension).get("name") == ENDPOINT_DIMENSION:
                return _text(_mapping(dimension), "value")
    return None


def match_plan(alert: Alert, plans: Iterable[RecoveryPlan]) -> tuple[RecoveryPlan, Meaning]:
    """The plan that an alert is about, and what the alert means for it.

    Only Traffic Manager's metric for the primary's endpoint, and log alerts that name the plan, may start a run; the
    health of other resources of the plan is noted. Raises ``UnusableAlertError`` when no plan matches.
    """
    endpoint_seen, known = None, list(plans)
    for plan in known:
        if plan.traffic.profile.lower() in alert.targets:
            if alert.service.lower() != "platform":
                return plan, "noted"
            if alert.endpoint is None or alert.endpoint.lower() == plan.traffic.primary.endpoint.lower():
                return plan, _down_or_resolved(alert)
            endpoint_seen = alert.endpoint
        elif alert.plan_hint == plan.name:
            return plan, _down_or_resolved(alert) if alert.service.lower().startswith("log") else "noted"
    for plan in known:
        if _is_of(plan, alert.targets):
            return plan, "noted"
    if endpoint_seen:
        raise UnusableAlertError(f"The alert is about endpoint {endpoint_seen}, which is no plan's primary endpoint.")
    raise UnusableAlertError(
        "No plan names the alert's target. Compare alertTargetIDs with traffic.profile in the plans, "
        f"or give the alert rule the custom property {PLAN_PROPERTY}."
    )


def _down_or_resolved(alert: Alert) -> Meaning:
    return "primary_down" if alert.condition == "Fired" else "primary_resolved"


def _is_of(plan: RecoveryPlan, targets: list[str]) -> bool:
    subscription = "/".join(plan.recovery.resource_group.lower().split("/")[:3])
    return plan.replication.machine.lower() in targets or subscription in targets
