"""Azure Monitor's alerts: which can be read, and which are repetitions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.errors import AlertError, AlertTooLargeError, MalformedAlertError, UnusableAlertError
from shared.services.alert_schema import parse_alert
from tests.unit.alert_samples import ALERT_ID, PROFILE, RESOLVED, read, sample


def without(name: str) -> dict[str, Any]:
    data = sample()
    del data["data"]["essentials"][name]
    return data


# Reading


def test_reads_what_coldsite_needs() -> None:
    alert = read(plan="contoso")
    assert (alert.alert_id.lower(), alert.rule, alert.service) == (ALERT_ID.lower(), "primary-degraded", "Platform")
    assert (alert.condition, alert.endpoints, alert.plan_hint) == ("Fired", ["on-premises"], "contoso")
    assert alert.targets == [PROFILE.lower()]


@pytest.mark.parametrize("condition", ["Fired", "Resolved"])
def test_tells_firing_from_resolution(condition: str) -> None:
    assert read(monitorCondition=condition).condition == condition


@pytest.mark.parametrize(
    "body", [b"", b"alert!", b"{", b"{'a': 1}", b"\xff\xfe\x00", b"[" * 200_000, b'{"a":' * 40_000, b"1" * 5000]
)
def test_refuses_what_is_not_json(body: bytes) -> None:
    with pytest.raises(MalformedAlertError, match="not JSON") as caught:
        parse_alert(body)
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b" " * 300_000, json.dumps(sample(alertRule="x" * 300_000)).encode()])
def test_refuses_a_body_that_is_longer_than_any_alert(body: bytes) -> None:
    with pytest.raises(AlertTooLargeError, match="256 KiB") as caught:
        parse_alert(body)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "alert",
        {},
        {"schemaId": None},
        {"schemaId": "AIP Budget Notification", "data": {"SubscriptionName": "x"}},
        {"schemaId": "AzureMonitorMetricAlert", "data": sample()["data"]},
    ],
)
def test_refuses_another_schema_and_says_what_to_enable(data: Any) -> None:
    with pytest.raises(UnusableAlertError, match="expected schemaId azureMonitorCommonAlertSchema"):
        parse_alert(json.dumps(data).encode())


ESSENTIALS = ["alertId", "alertRule", "monitorCondition", "monitoringService", "alertTargetIDs"]


@pytest.mark.parametrize("name", ESSENTIALS)
@pytest.mark.parametrize("value", [None, "", "  ", 5, [], [None], [""], {}])
def test_refuses_essentials_that_are_null_or_of_another_kind(name: str, value: Any) -> None:
    with pytest.raises(UnusableAlertError, match=f"lacks {name}") as caught:
        read(**{name: value})
    assert caught.value.status == 422


@pytest.mark.parametrize("name", ESSENTIALS)
def test_refuses_essentials_that_are_missing(name: str) -> None:
    with pytest.raises(UnusableAlertError, match=f"lacks {name}"):
        parse_alert(json.dumps(without(name)).encode())


@pytest.mark.parametrize("data", [None, [], "x", {}, {"essentials": None}, {"essentials": []}])
def test_refuses_an_alert_without_essentials_and_names_them_all(data: Any) -> None:
    with pytest.raises(UnusableAlertError, match=", ".join(ESSENTIALS)):
        parse_alert(json.dumps({"schemaId": "azureMonitorCommonAlertSchema", "data": data}).encode())


@pytest.mark.parametrize("condition", ["fired", "Closed", "FiredResolved"])
def test_refuses_a_condition_that_is_neither_fired_nor_resolved(condition: str) -> None:
    with pytest.raises(UnusableAlertError, match="neither Fired nor Resolved"):
        read(monitorCondition=condition)


@pytest.mark.parametrize(
    "context",
    [
        None,
        [],
        "x",
        {"condition": None},
        {"condition": {"allOf": None}},
        {"condition": {"allOf": [None, {"dimensions": None}, {"dimensions": [None]}]}},
    ],
)
def test_an_alert_without_dimensions_names_no_endpoint(context: Any) -> None:
    data = sample()
    data["data"]["alertContext"] = context
    assert parse_alert(json.dumps(data).encode()).endpoints == []


def test_an_id_that_is_no_text_in_any_encoding_is_refused() -> None:
    """JSON can spell half of a surrogate pair, which cannot be encoded."""
    with pytest.raises(AlertError):
        read(alertId="\ud800")


SCALARS = st.none() | st.booleans() | st.floats() | st.text()
JSON = st.recursive(SCALARS, lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=8)


@given(st.sampled_from([*ESSENTIALS, "firedDateTime"]), JSON, JSON, JSON)
def test_any_json_is_an_alert_or_an_alert_error(name: str, essential: Any, context: Any, properties: Any) -> None:
    data = sample(**{name: essential})
    data["data"] |= {"alertContext": context, "customProperties": properties}
    try:
        alert = parse_alert(json.dumps(data).encode())
    except AlertError as error:
        assert error.status in (400, 413, 422)
    else:
        assert alert.alert_id and alert.targets


# Repetitions


@pytest.mark.parametrize(
    "again",
    [
        {},
        {"alertId": ALERT_ID.upper()},
        {"alertTargetIDs": [PROFILE.upper()]},
        {"severity": "Sev0"},
        {"resolvedDateTime": "2027-01-15T21:00:00Z"},
    ],
)
def test_a_repetition_has_the_same_key(again: dict[str, Any]) -> None:
    assert read(**again).dedupe_key == read().dedupe_key


@pytest.mark.parametrize(
    "other",
    [
        {"alertId": ALERT_ID + "2"},
        {"firedDateTime": "2027-01-15T20:00:01Z"},
        RESOLVED,
        RESOLVED | {"resolvedDateTime": "2027-01-15T20:00:00.0000000Z"},
    ],
)
def test_other_news_has_another_key(other: dict[str, Any]) -> None:
    assert read(**other).dedupe_key != read().dedupe_key


def test_firing_and_resolution_share_one_id_however_it_is_spelt() -> None:
    """An alert whose resolution is not recognised would stay open for ever, and the watch would keep starting runs."""
    assert read(alertId=ALERT_ID.upper()).alert_id == read(alertId=ALERT_ID.lower(), **RESOLVED).alert_id
