"""Azure Monitor's alerts: which plan they are about, and what they mean for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.models.alert import Alert, Meaning
from shared.models.errors import UnusableAlertError
from shared.services.alert_schema import match_plan, parse_alert
from tests.plans import contoso, contoso_with
from tests.unit.alert_samples import PROFILE, RESOLVED, SUBSCRIPTION, WORKSPACE, read, sample

OTHER = contoso_with({"traffic.profile": PROFILE.removesuffix("contoso") + "fabrikam"}).model_copy(
    update={"name": "fabrikam"}
)
MACHINE = contoso().replication.machine
LOG = {"monitoringService": "Log Alerts V2", "alertTargetIDs": [WORKSPACE]}


@pytest.mark.parametrize(
    ("changes", "plan", "meaning"),
    [
        pytest.param({}, "contoso", "primary_down", id="primary degraded"),
        pytest.param(RESOLVED, "contoso", "primary_resolved", id="primary well again"),
        pytest.param({"alertTargetIDs": [PROFILE.upper()]}, "contoso", "primary_down", id="target in upper case"),
        pytest.param({"alertTargetIDs": [PROFILE.lower() + "/"]}, "contoso", "primary_down", id="target with a slash"),
        pytest.param({"endpoint": "On-Premises"}, "contoso", "primary_down", id="endpoint in other letters"),
        pytest.param({"alertTargetIDs": [WORKSPACE, PROFILE]}, "contoso", "primary_down", id="second target"),
        pytest.param(
            {"alertTargetIDs": [OTHER.traffic.profile]}, "fabrikam", "primary_down", id="other plan's profile"
        ),
        pytest.param(LOG | {"plan": "contoso"}, "contoso", "primary_down", id="log alert"),
        pytest.param(LOG | {"plan": "fabrikam"}, "fabrikam", "primary_down", id="log alert of the second plan"),
        pytest.param(LOG | RESOLVED | {"plan": "contoso"}, "contoso", "primary_resolved", id="log alert resolved"),
        pytest.param(
            LOG | {"plan": "fabrikam", "alertTargetIDs": [SUBSCRIPTION]},
            "fabrikam",
            "primary_down",
            id="log alert of a whole subscription names its plan",
        ),
        pytest.param(
            {"plan": "contoso", "alertTargetIDs": [WORKSPACE]},
            "contoso",
            "noted",
            id="metric of something else with a hint",
        ),
        pytest.param(
            {"alertTargetIDs": [MACHINE], "monitoringService": "Resource Health", "endpoint": None},
            "contoso",
            "noted",
            id="health of the replication machine",
        ),
        pytest.param(
            {"alertTargetIDs": [SUBSCRIPTION.upper()], "monitoringService": "ServiceHealth", "endpoint": None},
            "contoso",
            "noted",
            id="service health",
        ),
        pytest.param(
            {"monitoringService": "Resource Health", "endpoint": None},
            "contoso",
            "noted",
            id="health of the profile itself",
        ),
        pytest.param(
            {"monitoringService": "Activity Log - Administrative", "endpoint": None},
            "contoso",
            "noted",
            id="an edit of the profile",
        ),
    ],
)
def test_an_alert_means_something_for_one_plan(changes: dict[str, Any], plan: str, meaning: Meaning) -> None:
    matched, means = match_plan(read(**changes), [contoso(), OTHER])
    assert (matched.name, means) == (plan, meaning)


def test_the_recovery_endpoint_is_degraded_by_design_and_starts_nothing() -> None:
    with pytest.raises(UnusableAlertError, match="endpoint azure, which is not a plan's primary endpoint"):
        match_plan(read(endpoint="azure"), [contoso(), OTHER])


def test_two_plans_of_one_profile_are_told_apart_by_the_endpoint() -> None:
    second = contoso_with({"traffic.primary.endpoint": "branch"})
    assert match_plan(read(endpoint="branch"), [contoso(), second])[0] is second


@pytest.mark.parametrize("changes", [{"alertTargetIDs": [WORKSPACE]}, LOG, LOG | {"plan": "unknown"}])
def test_refuses_an_alert_that_belongs_to_no_plan_and_says_what_to_compare(changes: dict[str, Any]) -> None:
    with pytest.raises(UnusableAlertError, match=r"alertTargetIDs with traffic\.profile.*coldsite-plan"):
        match_plan(read(**changes), [contoso(), OTHER])


def test_without_plans_no_alert_matches() -> None:
    with pytest.raises(UnusableAlertError):
        match_plan(read(), [])


# Rules other than "the primary is not online"

STATE = "ProbeAgentCurrentEndpointStateByProfileResourceId"
ENDPOINT = [{"name": "EndpointName", "value": "on-premises"}]


def conditions(*conditions: dict[str, Any], **essentials: Any) -> Alert:
    """A metric alert on the profile whose rule has these conditions."""
    data = sample(**essentials)
    data["data"]["alertContext"] = {"properties": None, "condition": {"windowSize": "PT1M", "allOf": list(conditions)}}
    return parse_alert(json.dumps(data).encode())


def metric(
    name: str = STATE, operator: str = "LessThan", threshold: Any = "1", dimensions: Any = None
) -> dict[str, Any]:
    return {
        "metricName": name,
        "metricNamespace": "Microsoft.Network/trafficManagerProfiles",
        "operator": operator,
        "threshold": threshold,
        "dimensions": ENDPOINT if dimensions is None else dimensions,
    }


@pytest.mark.parametrize(
    "condition",
    [
        metric(),
        metric(threshold=1),
        metric(threshold="0.5"),
        metric(operator="LessThanOrEqual", threshold="0"),
        metric(operator="Equals", threshold="0"),
        metric(operator="Equals", threshold=0.0),
        metric(dimensions=[]),
    ],
)
def test_the_state_of_the_primarys_endpoint_that_is_not_online_may_start_a_run(condition: dict[str, Any]) -> None:
    assert match_plan(conditions(condition), [contoso()]) == (contoso(), "primary_down")


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param(metric("QpsByEndpoint", "GreaterThan", "1"), id="many queries"),
        pytest.param(metric("QpsByEndpoint", "GreaterThan", "1", []), id="many queries of no endpoint"),
        pytest.param(metric("QpsByEndpoint", "LessThan", "1"), id="few queries"),
        pytest.param(metric("QpsByEndpoint", "GreaterOrLessThan", None), id="an unusual number of queries"),
        pytest.param(metric(operator="GreaterThanOrEqual", threshold="1"), id="the endpoint is up again"),
        pytest.param(metric(operator="GreaterThan", threshold="0"), id="the endpoint is online"),
        pytest.param(metric(operator="Equals", threshold="1"), id="the endpoint is exactly online"),
        pytest.param(metric(operator="GreaterOrLessThan", threshold=None), id="an unusual state"),
        pytest.param(metric("Transactions", "LessThan", "1"), id="a metric of something else"),
        pytest.param(metric(None, None, None), id="null everywhere"),
    ],
)
@pytest.mark.parametrize("condition_of", [{}, RESOLVED], ids=["fired", "resolved"])
def test_a_rule_about_something_else_is_noted_and_starts_nothing(
    condition: dict[str, Any], condition_of: dict[str, Any]
) -> None:
    """A busy shop is no outage, and a false alarm would be followed by a cooldown."""
    assert match_plan(conditions(condition, **condition_of), [contoso()]) == (contoso(), "noted")


def test_one_condition_of_several_that_says_offline_is_enough() -> None:
    alert = conditions(metric("QpsByEndpoint", "GreaterThan", "1", []), metric())
    assert match_plan(alert, [contoso()]) == (contoso(), "primary_down")


@pytest.mark.parametrize("primary_first", [True, False])
def test_an_alert_on_both_endpoints_is_about_the_primary_too(primary_first: bool) -> None:
    both = [metric(), metric(dimensions=[{"name": "EndpointName", "value": "azure"}])]
    assert match_plan(conditions(*(both if primary_first else both[::-1])), [contoso()]) == (contoso(), "primary_down")


def test_a_rule_that_fires_for_an_online_endpoint_too_starts_nothing() -> None:
    """The state is 0 or 1, so it always is below 2."""
    assert match_plan(conditions(metric(threshold="2")), [contoso()]) == (contoso(), "noted")


@pytest.mark.parametrize("custom", [{"Coldsite-Plan": "contoso"}, {"coldsite-plan": "Contoso"}])
def test_the_property_that_names_the_plan_is_compared_without_case(custom: dict[str, str]) -> None:
    assert match_plan(log_alert({"properties": custom}), [contoso()]) == (contoso(), "primary_down")


# Places of the plan's name


def log_alert(context: Any, custom: Any = None, beside: Any = None, **essentials: Any) -> Alert:
    data = sample(**LOG | essentials)
    data["data"] |= {"alertContext": context, "customProperties": custom}
    return parse_alert(json.dumps(data | {"customProperties": beside}).encode())


NAMED = {"coldsite-plan": "contoso"}


@pytest.mark.parametrize(
    "alert",
    [
        pytest.param(log_alert({"properties": NAMED}), id="in the context, as Azure does"),
        pytest.param(log_alert({"properties": None}, NAMED), id="beside the context"),
        pytest.param(log_alert(None, None, NAMED), id="beside the data"),
        pytest.param(log_alert({"properties": NAMED}, {}, None), id="an empty one beside the context"),
        pytest.param(log_alert({"properties": {"coldsite-plan": " contoso "}}, {"coldsite-plan": "  "}), id="blanks"),
    ],
)
def test_a_log_alerts_plan_is_found_wherever_azure_puts_the_property(alert: Alert) -> None:
    assert match_plan(alert, [contoso(), OTHER]) == (contoso(), "primary_down")


def test_a_log_alert_scoped_at_the_profile_that_names_the_plan_may_start_a_run() -> None:
    alert = log_alert({"properties": NAMED}, alertTargetIDs=[PROFILE.lower()])
    assert match_plan(alert, [contoso()]) == (contoso(), "primary_down")
    unnamed = log_alert({"properties": None}, alertTargetIDs=[PROFILE.lower()])
    assert match_plan(unnamed, [contoso()]) == (contoso(), "noted")


# Special characters

NO_BREAK, ZERO_WIDTH, MARK = "\u00a0", "\u200b", "\ufeff"


@pytest.mark.parametrize("odd", [NO_BREAK, f"{NO_BREAK} \t", f" {ZERO_WIDTH}", f"\r\n{MARK}"])
def test_a_rules_name_with_odd_letters_is_cleaned_and_the_alert_is_kept(odd: str) -> None:
    alert = read(alertRule=f"{MARK}Shop{odd}is down{odd}")
    assert alert.rule == "Shop is down"
    assert match_plan(alert, [contoso()])[1] == "primary_down"


def test_a_rules_name_that_is_too_long_is_cut_and_the_alert_is_kept() -> None:
    assert read(alertRule="x" * 5000).rule == "x" * 1000


def test_an_endpoint_that_cannot_be_read_is_some_endpoint_and_not_any() -> None:
    alert = read(endpoint=ZERO_WIDTH)
    assert alert.endpoints == ["(unreadable)"]
    with pytest.raises(UnusableAlertError, match="which is not a plan's primary endpoint"):
        match_plan(alert, [contoso()])


def test_an_endpoints_name_with_odd_blanks_is_still_the_primarys() -> None:
    assert match_plan(read(endpoint=f"on-premises{NO_BREAK}"), [contoso()])[1] == "primary_down"


# An action group's own test


def test_an_action_groups_test_is_told_that_it_has_arrived() -> None:
    made_up = "/subscriptions/11111111-1111-1111-1111-111111111111/resourcegroups/test-RG/providers/microsoft.storage"
    with pytest.raises(UnusableAlertError, match="the action group's test alert") as caught:
        match_plan(read(endpoint=None, alertTargetIDs=[f"{made_up}/storageaccounts/test-storageAccount"]), [contoso()])
    assert caught.value.status == 422
