"""What infra/ would deploy: it is complete, grants the required permissions and no more, and matches contoso's plan."""

from __future__ import annotations

import ipaddress
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab.cloud.identity import API, TENANT
from lab.templates.bicep import TemplateError, evaluate, parse, read_parameters
from lab.templates.standing import INFRA, SECRETS, assigned, deployment, grants_of, standing
from lab.twin import ALERTS
from shared.models.resource_ids import take_apart
from shared.services.announce import FAILED, WARNS
from tests.app.test_index import ROUTES
from tests.plans import contoso, contoso_with

TEMPLATES = sorted(INFRA.rglob("*.bicep"))
SUBSCRIPTION = "00000000-0000-0000-0000-00000000c01d"
NOTHING_TO_KEEP = re.compile(r"listKeys|listAccountSas|AccountKey|sharedAccessKey|connectionString\b", re.IGNORECASE)


def made() -> Any:
    found = deployment("contoso", SUBSCRIPTION)
    assert found is not None
    return found


def declared(template: Path, kind: str) -> set[str]:
    nodes = [n for n in parse(template).named_children if n.type == f"{kind}_declaration"]
    return {
        next(c for c in n.named_children if c.type == "identifier").text.decode() for n in nodes if n.named_children
    }


# The templates themselves


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_every_parameter_and_variable_is_used(template: Path) -> None:
    text = re.sub(r"^\s*//.*", "", template.read_text(), flags=re.MULTILINE)
    names = declared(template, "parameter") | declared(template, "variable")
    assert {name for name in names if len(re.findall(rf"\b{name}\b", text)) < 2} == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_no_key_is_read_or_kept(template: Path) -> None:
    found = NOTHING_TO_KEEP.findall(template.read_text())
    assert set(found) <= (
        {"connectionString", "ConnectionString"} if template.stem in ("monitoring", "main") else set()
    )


def test_every_parameter_without_a_default_is_asked_for() -> None:
    given = set(json.loads((INFRA / "main.parameters.json").read_text())["parameters"])
    needed = {
        _name(node)
        for node in parse(INFRA / "main.bicep").named_children
        if node.type == "parameter_declaration" and node.named_children[-1].type == "type"
    }
    assert needed - given == set()
    assert given - declared(INFRA / "main.bicep", "parameter") == set()


def _name(node: Any) -> str:
    return str(next(child for child in node.named_children if child.type == "identifier").text.decode())


def test_no_storage_account_can_be_reached_by_key_or_from_the_internet() -> None:
    accounts = made().of_type("Microsoft.Storage/storageAccounts")
    assert len(accounts) == 2
    for account in accounts:
        properties = account.body["properties"]
        assert properties["allowSharedKeyAccess"] is False
        assert properties["allowBlobPublicAccess"] is False
        assert properties["networkAcls"]["defaultAction"] == "Deny"
        assert [rule["id"].rpartition("/")[2] for rule in properties["networkAcls"]["virtualNetworkRules"]] == [
            "functions"
        ]


def test_what_is_not_bicep_is_refused_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "broken.bicep").write_text("param a string\nresource = {\n")
    with pytest.raises(TemplateError, match=r"broken.bicep:2"):
        evaluate(tmp_path / "broken.bicep", {"a": "b"}, "/subscriptions/s")


def test_a_function_that_is_not_modelled_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "odd.bicep").write_text("output a string = newGuid()\n")
    with pytest.raises(TemplateError, match="newGuid"):
        evaluate(tmp_path / "odd.bicep", {}, "/subscriptions/s")


def test_a_parameter_that_a_template_does_not_have_is_refused() -> None:
    parameters = read_parameters(INFRA / "contoso.parameters.json") | SECRETS | {"colour": "blue"}
    with pytest.raises(TemplateError, match="colour"):
        evaluate(INFRA / "main.bicep", parameters, f"/subscriptions/{SUBSCRIPTION}")


def test_without_a_site_only_coldsite_itself_is_made() -> None:
    parameters = read_parameters(INFRA / "contoso.parameters.json") | SECRETS
    network = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/there/providers/Microsoft.Network/virtualNetworks"
    parameters |= {
        "createSite": False,
        "failoverNetworkId": f"{network}/failover",
        "drillNetworkId": f"{network}/drill",
        "recoveryAddress": "198.51.100.7",
    }
    alone = evaluate(INFRA / "main.bicep", parameters, f"/subscriptions/{SUBSCRIPTION}")
    kinds = {resource.type for resource in alone.resources.values() if not resource.existing}
    assert not kinds & {"Microsoft.Compute/virtualMachines", "Microsoft.Network/trafficManagerProfiles"}
    groups = {r.name for r in alone.of_type("Microsoft.Resources/resourceGroups")}
    assert groups == {"rg-coldsite-contoso"}


# Contoso


def test_contosos_plan_names_only_what_the_templates_make() -> None:
    plan, stands = contoso(), made()
    named = {plan.traffic.profile, plan.replication.machine, plan.recovery.resource_group}
    for name, workload in plan.recovery.workloads.items():
        named |= {workload.nic.failover, workload.nic.drill, *(disk for _, disk in plan.workload_disks(name))}
    assert {path for path in named if path.lower() not in stands.resources} == set()


def test_the_lab_stands_on_the_templates_and_on_nothing_typed_again() -> None:
    """Plan and templates agree on every resource, so either could be derived from the other."""
    plan, stands, site = contoso(), standing(contoso()), made().outputs["COLDSITE_SITE"]
    assert (stands.hostname, stands.profile) == (plan.traffic.hostname, plan.traffic.profile)
    assert stands.location == plan.recovery.location
    assert [(e.name, e.kind, e.enabled) for e in stands.endpoints] == [
        (plan.traffic.primary.endpoint, plan.traffic.primary.type, True),
        (plan.traffic.recovery.endpoint, plan.traffic.recovery.type, False),
    ]
    assert {w["name"]: (w["nic"], w["address"]) for w in site["workloads"]} == {
        name: (workload.nic.model_dump(), workload.address.model_dump())
        for name, workload in plan.recovery.workloads.items()
    }
    disks = {disk: (name, label) for name in plan.recovery.workloads for label, disk in plan.workload_disks(name)}
    assert stands.disks == disks
    assert stands.monitor.host == plan.traffic.verify[0].http.host  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("recovery.workloads.sql.nic.failover", contoso().recovery.workloads["sql"].nic.failover + "-2"),
        ("recovery.workloads.iis.disks.os", contoso().recovery.workloads["iis"].disks.os + "-2"),
    ],
)
def test_a_name_that_does_not_line_up_is_not_there(key: str, value: str) -> None:
    stands = standing(contoso_with({key: value}))
    assert value not in stands.disks.keys() | stands.interfaces.keys()


def test_every_interfaces_address_lies_in_its_subnet_and_no_two_are_equal() -> None:
    stands = made()
    ranges = {
        f"{network.id}/subnets/{subnet['name']}": ipaddress.ip_network(subnet["properties"]["addressPrefix"])
        for network in stands.of_type("Microsoft.Network/virtualNetworks")
        for subnet in network.body["properties"]["subnets"]
    }
    places = standing(contoso()).interfaces
    assert len({address for address, _ in places.values()}) == len(places)
    for address, subnet in places.values():
        assert ipaddress.ip_address(address) in ranges[subnet]
    whole = sorted(ranges.values())
    assert not any(before.overlaps(other) for before, other in itertools.pairwise(whole))


def test_nothing_gets_out_of_the_drill_network_and_only_coldsite_gets_in() -> None:
    rules = next(g for g in made().of_type("Microsoft.Network/networkSecurityGroups") if g.name.endswith("-drill"))
    drill = "10.21.1.0/24"
    for rule in rules.body["properties"]["securityRules"]:
        properties = rule["properties"]
        if properties["access"] == "Allow" and properties["direction"] == "Outbound":
            assert properties["destinationAddressPrefix"] == drill
        if properties["access"] == "Allow" and properties["direction"] == "Inbound":
            assert properties["sourceAddressPrefix"] in (drill, "10.250.0.0/25")
    denied = [
        r["properties"]["direction"]
        for r in rules.body["properties"]["securityRules"]
        if r["properties"]["access"] == "Deny"
    ]
    assert sorted(denied) == ["Inbound", "Outbound"]


def test_the_replica_group_is_locked_and_the_recovery_group_is_not() -> None:
    locks = {
        take_apart(lock.id).group: lock.body["properties"]["level"]
        for lock in made().of_type("Microsoft.Authorization/locks")
    }
    assert locks == {"contoso-replica": "CanNotDelete", "rg-coldsite-contoso": "CanNotDelete"}


# Permissions


def test_the_identity_for_recovery_actions_is_given_exactly_the_roles_that_the_lab_enforces() -> None:
    plan, whole = contoso(), made()
    identity = next(
        i for i in whole.of_type("Microsoft.ManagedIdentity/userAssignedIdentities") if "recovery" in i.name
    )
    given = assigned(whole, f"<{identity.id}.properties.principalId>")
    enforced = grants_of(plan)
    assert sorted(given, key=lambda g: g.scope) == sorted(enforced, key=lambda g: g.scope)


def test_no_role_has_a_wildcard_or_may_delete_what_is_replicated() -> None:
    for file in (INFRA / "roles").glob("*.json"):
        role = json.loads(file.read_text())
        assert not [action for action in role["Actions"] if "*" in action]
        if role["Scope"] == "replica":
            assert not [
                action
                for action in role["Actions"]
                if re.search(r"disks/(write|delete)|Machines/(write|delete)", action)
            ]


# Settings


def test_the_templates_set_every_setting_that_the_lab_sets() -> None:
    """Settings that only the lab needs, such as the file of its own authority, are no settings of a deployment."""
    settings = next(c for c in made().of_type("Microsoft.Web/sites/config") if c.name == "appsettings").body[
        "properties"
    ]
    lab_only = {
        "PATH",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
        "IDENTITY_ENDPOINT",
        "IDENTITY_HEADER",
        "SSL_CERT_FILE",
        "COLDSITE_RESOLVERS",
        "REQUESTS_CA_BUNDLE",
        "COLDSITE_PLANS",
        "COLDSITE_RESOURCE_MANAGER",
        "COLDSITE_LOGS_ENDPOINT",
        "COLDSITE_DNS_SERVER",
        "COLDSITE_LOGIN_ENDPOINT",
        "WEBSITE_AUTH_ENABLED",
        "AzureWebJobs.start_drills.Disabled",
        "AzureWebJobs.take_recovery_points.Disabled",
        "AzureWebJobs.sweep_readiness.Disabled",
    }
    source = (Path(__file__).parents[2] / "lab" / "app_settings.py").read_text()
    lab = set(re.findall(r'^ +"([A-Za-z_.]+)": ', source, re.MULTILINE))
    assert lab - lab_only <= set(settings)


def test_every_setting_of_the_templates_is_in_the_documents() -> None:
    settings = next(c for c in made().of_type("Microsoft.Web/sites/config") if c.name == "appsettings").body[
        "properties"
    ]
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    ours = {name for name in settings if name.startswith("COLDSITE_")}
    assert {name for name in ours if name not in text} == set()


@pytest.mark.parametrize(("words", "file"), [(WARNS, "alerts.bicep"), (FAILED, "coldsite-failed.kql")])
def test_the_alert_rules_look_for_the_words_that_the_log_begins_with(words: str, file: str) -> None:
    assert words in (INFRA / "coldsite" / file).read_text()


def test_a_deployment_after_a_failover_leaves_the_customers_where_they_are() -> None:
    parameters = read_parameters(INFRA / "contoso.parameters.json") | SECRETS
    parameters |= {"primaryStatus": "Disabled", "recoveryStatus": "Enabled"}
    later = evaluate(INFRA / "main.bicep", parameters, f"/subscriptions/{SUBSCRIPTION}")
    (profile,) = later.of_type("Microsoft.Network/trafficManagerProfiles")
    states = {
        endpoint["name"]: endpoint["properties"]["endpointStatus"]
        for endpoint in profile.body["properties"]["endpoints"]
    }
    assert states == {"on-premises": "Disabled", "azure": "Enabled"}


def test_the_deploy_workflow_and_azd_pass_every_setting_of_the_parameters() -> None:
    root = Path(__file__).parents[2]
    asked = set(re.findall(r"\$\{(COLDSITE_\w+)", (INFRA / "main.parameters.json").read_text()))
    for file in (".github/workflows/deploy.yml", "azure.yaml"):
        assert {name for name in asked if name not in (root / file).read_text()} == set()


# Data that a deployment must never lose


def config(name: str) -> Any:
    return next(c for c in made().of_type("Microsoft.Web/sites/config") if c.name == name).body["properties"]


def test_people_must_sign_in_and_only_the_alerts_are_let_through() -> None:
    settings, sign_in = config("appsettings"), config("authsettingsV2")
    assert settings["COLDSITE_SIGN_IN"] == "required"
    assert sign_in["platform"]["enabled"] is True
    assert sign_in["globalValidation"] == {
        "requireAuthentication": True,
        "unauthenticatedClientAction": "Return401",
        "excludedPaths": sorted(ALERTS),
    }
    directory = sign_in["identityProviders"]["azureActiveDirectory"]
    assert directory["registration"]["clientId"] == API
    assert directory["validation"]["allowedAudiences"] == [f"api://{API}"]
    assert settings["COLDSITE_ALERTS_AUDIENCE"].split() == [API, f"api://{API}"]
    assert settings["COLDSITE_TENANT_ID"] == TENANT


def test_alerts_go_where_coldsite_listens_with_a_token_and_in_the_common_schema() -> None:
    groups = {group.name: group.body["properties"] for group in made().of_type("Microsoft.Insights/actionGroups")}
    (hook,) = groups["ag-coldsite-contoso"]["webhookReceivers"]
    assert hook["serviceUri"].endswith(f"/api/{ROUTES['alerts'][1]}")
    assert (hook["useCommonAlertSchema"], hook["useAadAuth"], hook["identifierUri"]) == (True, True, f"api://{API}")


def test_the_metric_alert_watches_the_primary_endpoint_every_minute() -> None:
    (rule,) = made().of_type("Microsoft.Insights/metricAlerts")
    properties, plan = rule.body["properties"], contoso()
    (criterion,) = properties["criteria"]["allOf"]
    assert (properties["evaluationFrequency"], properties["windowSize"], properties["scopes"]) == (
        "PT1M",
        "PT1M",
        [plan.traffic.profile],
    )
    assert (criterion["timeAggregation"], criterion["operator"], criterion["threshold"]) == ("Maximum", "LessThan", 1)
    assert criterion["dimensions"][0]["values"] == [plan.traffic.primary.endpoint]


def test_the_heartbeat_rule_listens_for_the_server_that_the_plan_listens_for() -> None:
    rule = next(r for r in made().of_type("Microsoft.Insights/scheduledQueryRules") if "heartbeat" in r.name)
    query = rule.body["properties"]["criteria"]["allOf"][0]["query"]
    assert re.findall(r'Computer =~ "(.*?)"', query) == re.findall(
        r'Computer == "(.*?)"', contoso().query_texts["heartbeat.kql"]
    )
    assert rule.body["properties"]["actions"]["customProperties"] == {"coldsite-plan": contoso().name}


def test_documents_are_kept_for_seven_years() -> None:
    (policy,) = made().of_type("Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies")
    assert policy.body["properties"] == {
        "immutabilityPeriodSinceCreationInDays": 2555,
        "allowProtectedAppendWrites": False,
    }


def test_azd_is_told_what_the_command_asks_for() -> None:
    assert {"COLDSITE_URL", "COLDSITE_APP", "COLDSITE_PLAN"} <= set(made().outputs)
