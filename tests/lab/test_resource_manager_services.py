"""The lab's network interfaces, Traffic Manager and subscriptions, against Microsoft's published REST examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.azure import (
    ENDPOINTS,
    HEALTH,
    NETWORK,
    NIC,
    OTHER_NIC,
    PROFILE,
    RECOVERY,
    ROOT,
    SUBSCRIPTION,
    SUBSCRIPTIONS,
    Azure,
    Recorder,
    compute,
    simulated,
)
from tests.lab.published import (
    ENDPOINT,
    GROUP,
    HEALTH_FILES,
    NETWORK_FILES,
    ONE_PROFILE,
    RESOURCE,
    RESOURCE_FILES,
    STABLE_TRAFFIC_FILES,
    SUB,
    TRAFFIC_FILES,
    check,
    differences,
    example,
)


@pytest.fixture
def azure() -> Iterator[Azure]:
    with simulated() as azure:
        yield azure


@example("GET", f"{GROUP}/Microsoft.Network/networkInterfaces/{{name}}", f"{NETWORK_FILES}/NetworkInterfaceGet.json")
def test_interface_shows_its_address_and_the_machine_that_has_it(azure: Azure) -> None:
    azure.finished(azure.put_machine("sql", azure.disk("sql-os")))
    reply = azure.ask("GET", NIC, NETWORK, person=True)
    configuration = {
        "name": str,
        "id": str,
        "properties.primary": bool,
        "properties.privateIPAddress": str,
        "properties.privateIPAllocationMethod": str,
        "properties.provisioningState": str,
        "properties.subnet.id": str,
    }
    assert reply.status == 200
    assert differences(reply.body, RESOURCE | {"properties.virtualMachine.id": str}) == []
    assert differences(reply.body["properties"]["ipConfigurations"][0], configuration) == []
    assert reply.body["properties"]["virtualMachine"]["id"] == compute("virtualMachines", "sql")


@example("GET", f"{GROUP}/Microsoft.Network/networkInterfaces", f"{NETWORK_FILES}/NetworkInterfaceList.json")
def test_every_interface_of_a_group_is_listed(azure: Azure) -> None:
    reply = azure.ask("GET", f"{RECOVERY}/providers/Microsoft.Network/networkInterfaces", NETWORK)
    assert reply.status == 200
    assert {resource["id"] for resource in reply.body["value"]} == {NIC, OTHER_NIC}
    assert [differences(resource, RESOURCE) for resource in reply.body["value"]] == [[], []]


@example(
    "GET",
    f"{SUB}/providers/Microsoft.Network/networkInterfaces",
    f"{NETWORK_FILES}/NetworkInterfaceListAll.json",
)
def test_every_interface_of_a_subscription_is_listed(azure: Azure) -> None:
    reply = azure.ask("GET", f"{ROOT}/providers/Microsoft.Network/networkInterfaces", NETWORK, person=True)
    assert reply.status == 200
    assert {resource["id"] for resource in reply.body["value"]} == {NIC, OTHER_NIC}
    assert [differences(resource, RESOURCE) for resource in reply.body["value"]] == [[], []]


@example(
    "GET",
    f"{SUB}/providers/Microsoft.Network/trafficManagerProfiles",
    f"{STABLE_TRAFFIC_FILES}/Profile-GET-BySubscription.json",
)
def test_every_profile_of_a_subscription_is_listed(azure: Azure) -> None:
    (found,) = azure.traffic_client(person=True).profiles.list_by_subscription()
    assert (found.id, [endpoint.name for endpoint in found.properties.endpoints]) == (PROFILE, ["primary", "recovery"])


@example("GET", ONE_PROFILE, f"{TRAFFIC_FILES}/examples/2026-09-01/Profile-GET-WithEndpoints.json")
def test_profile_shows_its_routing_its_probe_and_its_endpoints(azure: Azure) -> None:
    seen = Recorder()
    azure.traffic_client(person=True).profiles.get("rg-traffic", "shop", raw_response_hook=seen)
    check(seen[0], "GET", PROFILE, ENDPOINTS, 200)
    body = seen[0].reply.body
    structure = {
        "id": str,
        "name": str,
        "type": str,
        "location": str,
        "tags": dict,
        "properties.dnsConfig.fqdn": str,
        "properties.dnsConfig.relativeName": str,
        "properties.dnsConfig.ttl": int,
        "properties.profileStatus": str,
        "properties.trafficRoutingMethod": str,
    }
    monitor = dict.fromkeys(("intervalInSeconds", "port", "timeoutInSeconds", "toleratedNumberOfFailures"), int)
    assert differences(body, structure) == []
    assert (
        differences(
            body["properties"]["monitorConfig"], monitor | {"path": str, "profileMonitorStatus": str, "protocol": str}
        )
        == []
    )
    assert [differences(endpoint, ENDPOINT) for endpoint in body["properties"]["endpoints"]] == [[], []]
    assert (body["type"], body["location"]) == ("Microsoft.Network/trafficManagerProfiles", "global")


@example(
    "GET",
    f"{ONE_PROFILE}/externalEndpoints/{{name}}",
    f"{STABLE_TRAFFIC_FILES}/Endpoint-GET-External-WithLocation.json",
)
@example(
    "GET",
    f"{ONE_PROFILE}/azureEndpoints/{{name}}",
    f"{STABLE_TRAFFIC_FILES}/Endpoint-GET-External-WithLocation.json",
)
@pytest.mark.parametrize(("kind", "name"), [("externalEndpoints", "primary"), ("azureEndpoints", "recovery")])
def test_endpoint_shows_its_status_and_its_monitor_status(azure: Azure, kind: str, name: str) -> None:
    seen = Recorder()
    azure.traffic_client().endpoints.get("rg-traffic", "shop", kind, name, raw_response_hook=seen)
    check(seen[0], "GET", f"{PROFILE}/{kind}/{name}", ENDPOINTS, 200)
    assert differences(seen[0].reply.body, ENDPOINT) == []
    assert seen[0].reply.body["type"] == f"Microsoft.Network/trafficManagerProfiles/{kind}"


@example(
    "PATCH",
    f"{ONE_PROFILE}/externalEndpoints/{{name}}",
    f"{STABLE_TRAFFIC_FILES}/Endpoint-PATCH-External-Target.json",
)
@example(
    "PATCH",
    f"{ONE_PROFILE}/azureEndpoints/{{name}}",
    f"{STABLE_TRAFFIC_FILES}/Endpoint-PATCH-External-Target.json",
)
@pytest.mark.parametrize(
    ("kind", "name", "to"), [("externalEndpoints", "primary", "Disabled"), ("azureEndpoints", "recovery", "Enabled")]
)
def test_endpoint_is_switched_at_once_and_keeps_what_was_not_sent(azure: Azure, kind: str, name: str, to: str) -> None:
    seen, client = Recorder(), azure.traffic_client()
    before = azure.ask("GET", f"{PROFILE}/{kind}/{name}", ENDPOINTS).body["properties"]
    body: dict[str, Any] = {"properties": {"endpointStatus": to}}
    client.endpoints.update("rg-traffic", "shop", kind, name, body, raw_response_hook=seen)
    check(seen[0], "PATCH", f"{PROFILE}/{kind}/{name}", ENDPOINTS, 200)
    assert seen[0].sent == body
    after = seen[0].reply.body
    assert differences(after, ENDPOINT) == []
    assert after["properties"]["endpointStatus"] == to
    kept = ("target", "priority", "weight", "endpointLocation")
    assert [after["properties"][key] for key in kept] == [before[key] for key in kept]


@example(
    "PUT",
    f"{ONE_PROFILE}/externalEndpoints/{{name}}",
    f"{STABLE_TRAFFIC_FILES}/Endpoint-PUT-External-WithLocation.json",
)
@example(
    "PUT", f"{ONE_PROFILE}/azureEndpoints/{{name}}", f"{STABLE_TRAFFIC_FILES}/Endpoint-PUT-External-WithLocation.json"
)
@pytest.mark.parametrize(
    ("kind", "name", "to"), [("externalEndpoints", "primary", "Disabled"), ("azureEndpoints", "recovery", "Enabled")]
)
def test_endpoint_that_is_put_whole_is_switched(azure: Azure, kind: str, name: str, to: str) -> None:
    path = f"{PROFILE}/{kind}/{name}"
    whole = azure.ask("GET", path, ENDPOINTS).body
    whole["properties"]["endpointStatus"] = to
    reply = azure.ask("PUT", path, ENDPOINTS, whole)
    assert reply.status == 200
    assert differences(reply.body, ENDPOINT) == []
    assert azure.ask("GET", path, ENDPOINTS).body["properties"]["endpointStatus"] == to
    whole["properties"]["target"] = "elsewhere.example"
    assert azure.ask("PUT", path, ENDPOINTS, whole).code == "NotSimulated"


@example("GET", "/subscriptions", f"{RESOURCE_FILES}/GetSubscriptions.json")
def test_subscriptions_are_listed_with_their_tenant_and_state(azure: Azure) -> None:
    reply = azure.ask("GET", "/subscriptions", SUBSCRIPTIONS, person=True)
    keys = ("id", "subscriptionId", "tenantId", "displayName", "state", "authorizationSource")
    policies = ("locationPlacementId", "quotaId", "spendingLimit")
    structure = dict.fromkeys([*keys, *(f"subscriptionPolicies.{key}" for key in policies)], str)
    assert reply.status == 200
    assert [differences(item, structure | {"managedByTenants": list}) for item in reply.body["value"]] == [[]]
    assert reply.body["value"][0]["id"] == f"/subscriptions/{SUBSCRIPTION}"


EVENTS = f"{SUB}/providers/Microsoft.ResourceHealth/events"


@example("GET", EVENTS, f"{HEALTH_FILES}/Events_ListBySubscriptionId.json")
def test_a_declared_issue_is_listed_with_the_service_and_region_that_it_touches(azure: Azure) -> None:
    path = EVENTS.format(subscription=SUBSCRIPTION)
    assert azure.ask("GET", path, HEALTH).body == {"value": []}
    azure.health.in_trouble = "Virtual Machines"
    (event,) = azure.ask("GET", path, HEALTH).body["value"]
    fields = {f"properties.{key}": str for key in ("eventType", "status", "title", "impactStartTime", "lastUpdateTime")}
    impact = {"impactedService": str, "impactedRegions": list}
    region = {"impactedRegion": str, "impactedSubscriptions": list, "status": str, "updates": list}
    assert differences(event, {"id": str, "name": str, "type": str} | fields) == []
    assert [differences(region, impact) for region in event["properties"]["impact"]] == [[]]
    assert differences(event["properties"]["impact"][0]["impactedRegions"][0], region) == []
    assert (event["properties"]["eventType"], event["properties"]["status"]) == ("ServiceIssue", "Active")
