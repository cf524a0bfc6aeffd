"""Azure Monitor's common alert schema: parse, match to a plan, classify."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from shared.models.alert import Alert, Meaning
from shared.models.errors import AlertTooLargeError, MalformedAlertError, UnusableAlertError
from shared.models.json_limits import OverLimitError, read_json
from shared.models.plan import RecoveryPlan

MAX_BYTES = 256 * 1024
MAX_TEXT = 1000
SCHEMA = "azureMonitorCommonAlertSchema"
ENDPOINT_DIMENSION = "EndpointName"
STATE_METRIC = "ProbeAgentCurrentEndpointStateByProfileResourceId"
"""Traffic Manager's metric for the state of an endpoint: 1 while it is online, else 0. Its other metric,
``QpsByEndpoint``, counts queries and says nothing of health.
Source: MicrosoftDocs/azure-docs:articles/traffic-manager/traffic-manager-metrics-alerts.md"""
_TEST = "/subscriptions/11111111-1111-1111-1111-111111111111/"
"""The fictitious subscription in the notifications of an action group's *Test*."""
UNREADABLE = "(unreadable)"
PLAN_PROPERTY = "coldsite-plan"


def parse_alert(body: bytes) -> Alert:
    """Reads a webhook body.

    Raises ``AlertTooLargeError`` beyond 256 KiB, ``MalformedAlertError`` for anything but JSON, and
    ``UnusableAlertError`` for another schema or for missing essentials (budget alerts carry nulls).
    """
    if len(body) > MAX_BYTES:
        raise AlertTooLargeError(
            f"The body is longer than {MAX_BYTES // 1024} KiB, the limit for an alert of Azure Monitor."
        )
    try:
        data = read_json(body)
    except OverLimitError as error:
        raise UnusableAlertError(f"The body is not an alert of Azure Monitor: it is {error}.") from error
    except ValueError as error:
        raise MalformedAlertError(
            "The body is not JSON. This route is for the webhook of an Azure Monitor action group."
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
        raise UnusableAlertError(f"data.essentials lacks {', '.join(missing)}, so the subject of the alert is unknown.")
    if condition not in ("Fired", "Resolved"):
        raise UnusableAlertError("data.essentials.monitorCondition is neither Fired nor Resolved.")
    context = _mapping(content.get("alertContext"))
    hint = _plan_hint(data.get("customProperties"), content.get("customProperties"), context.get("properties"))
    moment = _text(essentials, "resolvedDateTime" if condition == "Resolved" else "firedDateTime") or ""
    key = "|".join([alert_id.lower(), condition, moment])
    return Alert(
        alert_id=alert_id.lower(),
        rule=rule,
        condition="Fired" if condition == "Fired" else "Resolved",
        service=service,
        targets=[target.lower().rstrip("/") for target in targets or []],
        endpoints=_endpoints(context),
        says_offline=_says_offline(context),
        plan_hint=hint,
        dedupe_key=hashlib.sha256(key.encode()).hexdigest()[:32],
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _plan_hint(*places: Any) -> str | None:
    """The plan that a rule's custom property names. Metric alerts carry their properties beside the data, log alerts in
    ``alertContext.properties``.
    """
    found = (value for place in places for key, value in _mapping(place).items() if key.lower() == PLAN_PROPERTY)
    return next((hint.strip().lower() for hint in found if isinstance(hint, str) and hint.strip()), None)


def _text(mapping: Mapping[str, Any], key: str) -> str | None:
    """A text that can be stored and shown: an odd space or a zero-width character is no reason to lose an alert. The
    result is cut after ``MAX_TEXT``.
    """
    value = mapping.get(key)
    if not isinstance(value, str):
        return None
    plain = "".join(letter if letter.isprintable() else " " if letter.isspace() else "" for letter in value)
    return " ".join(plain.split())[:MAX_TEXT] or None


def _conditions(context: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [_mapping(condition) for condition in _list(_mapping(context.get("condition")).get("allOf"))]


def _endpoints(context: Mapping[str, Any]) -> list[str]:
    """The EndpointName dimensions of a metric alert, from all of its conditions. An unreadable one counts as an unknown
    endpoint, not as none.
    """
    return [
        _text(_mapping(dimension), "value") or UNREADABLE
        for condition in _conditions(context)
        for dimension in _list(condition.get("dimensions"))
        if _mapping(dimension).get("name") == ENDPOINT_DIMENSION
    ]


def _says_offline(context: Mapping[str, Any]) -> bool:
    """Whether the conditions of a metric alert mean an offline endpoint. Without conditions they may."""
    named = [condition for condition in _conditions(context) if "metricName" in condition]
    return not named or any(map(_is_offline, named))


def _is_offline(condition: Mapping[str, Any]) -> bool:
    operator, threshold = str(condition.get("operator")), str(condition.get("threshold"))
    none = threshold in ("0", "0.0")
    below = (operator == "LessThan" and _at_most_one(threshold)) or (
        operator == "LessThanOrEqual" and not threshold.startswith("1")
    )
    return condition["metricName"] == STATE_METRIC and (below or (operator == "Equals" and none))


def _at_most_one(threshold: str) -> bool:
    """Below a higher threshold the state of an endpoint always is, also while it is online."""
    try:
        return float(threshold) <= 1
    except ValueError:
        return True


def match_plan(alert: Alert, plans: Iterable[RecoveryPlan]) -> tuple[RecoveryPlan, Meaning]:
    """The plan that an alert is about, and what the alert means for it.

    Only Traffic Manager's state metric of the primary's endpoint, and log alerts that name the plan, may start a run;
    everything else about the plan is noted. Raises ``UnusableAlertError`` when no plan matches.
    """
    endpoint_seen, known = None, list(plans)
    is_log = alert.service.lower().startswith("log")
    for plan in known:
        if alert.plan_hint == plan.name and is_log:
            return plan, _down_or_resolved(alert)
        if plan.traffic.profile.lower() in alert.targets:
            if alert.service.lower() != "platform" or not alert.says_offline:
                return plan, "noted"
            if not alert.endpoints or plan.traffic.primary.endpoint.lower() in map(str.lower, alert.endpoints):
                return plan, _down_or_resolved(alert)
            endpoint_seen = alert.endpoints[0]
        elif alert.plan_hint == plan.name:
            return plan, "noted"
    for plan in known:
        if _is_of(plan, alert.targets):
            return plan, "noted"
    if any(target.startswith(_TEST) for target in alert.targets):
        raise UnusableAlertError(
            "This is the action group's test alert. It names no resource of a plan, so nothing starts."
        )
    if endpoint_seen:
        raise UnusableAlertError(
            f"The alert is about endpoint {endpoint_seen}, which is not a plan's primary endpoint."
        )
    raise UnusableAlertError(
        "No plan names the alert's target. Compare alertTargetIDs with traffic.profile in the plans, "
        f"or give the alert rule the custom property {PLAN_PROPERTY}."
    )


def _down_or_resolved(alert: Alert) -> Meaning:
    return "primary_down" if alert.condition == "Fired" else "primary_resolved"


def _is_of(plan: RecoveryPlan, targets: list[str]) -> bool:
    subscription = "/".join(plan.recovery.resource_group.lower().split("/")[:3])
    return plan.replication.machine.lower() in targets or subscription in targets
