"""The templates as Microsoft's compiler reads them, and that the lab's evaluator agrees."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab.cloud.identity import TENANT
from lab.templates.bicep import Deployment, TemplateError, evaluate, read_parameters
from lab.templates.functions import Unknown
from lab.templates.standing import INFRA, SECRETS

SUBSCRIPTION = "00000000-0000-0000-0000-00000000c01d"
PLACE = ["--tenant-id", TENANT, "--subscription-id", SUBSCRIPTION, "--location", "westeurope"]
TEMPLATES = sorted([*INFRA.rglob("*.bicep"), *INFRA.glob("*.bicepparam")])
NETWORK = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/there/providers/Microsoft.Network/virtualNetworks"
ROLE_ASSIGNMENT = "microsoft.authorization/roleassignments"

needs_bicep = pytest.mark.skipif(
    shutil.which("bicep") is None, reason="This test asks Microsoft's compiler: put the Bicep CLI (bicep) on PATH."
)


def bicep(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bicep", *map(str, words)], capture_output=True, text=True, check=False)


# The compiler


@needs_bicep
def test_the_compiler_has_nothing_to_say() -> None:
    for pattern in ("**/*.bicep", "*.bicepparam"):
        checked = bicep("lint", "--pattern", INFRA / pattern)
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@needs_bicep
def test_the_compiler_has_nothing_to_format(tmp_path: Path) -> None:
    copy = tmp_path / "infra"
    shutil.copytree(INFRA, copy)
    spoiled = [copy / "main.bicep", copy / "contoso.bicepparam"]
    for path in spoiled:  # It would be noticed if a pattern matched nothing.
        path.write_text(path.read_text().replace(" = ", "  =  "))
    for pattern in ("**/*.bicep", "*.bicepparam"):
        assert bicep("format", "--pattern", copy / pattern).returncode == 0
    assert {path: (copy / path.relative_to(INFRA)).read_text() for path in TEMPLATES} == {
        path: path.read_text() for path in TEMPLATES
    }


@needs_bicep
def test_the_whole_compiles_without_a_warning() -> None:
    done = bicep("build", INFRA / "main.bicep", "--stdout")
    assert (done.returncode, done.stderr) == (0, "")


@needs_bicep
def test_what_would_be_deployed_is_what_was_last_reviewed() -> None:
    done = bicep("snapshot", INFRA / "contoso.bicepparam", "--mode", "validate", *PLACE)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nIs it meant? See infra/contoso.bicepparam."


def compiled(folder: Path, parameters: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """The compiler's result for other parameters: a snapshot beside a copy of the templates, or its error."""
    copy = folder / "infra"
    shutil.copytree(INFRA, copy)
    (copy / "case.json").write_text(json.dumps(parameters))
    lines = ["using 'main.bicep'", "var given = loadJsonContent('case.json')"]
    lines += [f"param {name} = given.{name}" for name in parameters]
    (copy / "case.bicepparam").write_text("\n".join(lines) + "\n")
    return bicep("snapshot", copy / "case.bicepparam", "--mode", "overwrite", *PLACE)


# Other parameters


def contoso(**changes: Any) -> dict[str, Any]:
    return read_parameters(INFRA / "contoso.parameters.json") | SECRETS | changes


def beside(**changes: Any) -> dict[str, Any]:
    """Coldsite beside an existing recovery site."""
    networks = {"failoverNetworkId": f"{NETWORK}/failover", "drillNetworkId": f"{NETWORK}/drill"}
    return contoso(createSite=False, site={}, recoveryAddress="198.51.100.7", **networks) | changes


def evaluated(parameters: dict[str, Any]) -> Deployment:
    return evaluate(INFRA / "main.bicep", parameters, f"/subscriptions/{SUBSCRIPTION}")


OPTIONAL = {
    "recoveryGroupName": "contoso-recovery",
    "replicaGroupName": "contoso-replica",
    "edgeGroupName": "contoso-edge",
    "profileName": "contoso",
    "primaryEndpointName": "on-premises",
    "observerAddress": "www.msftconnecttest.com",
    "coldsiteNetworkPrefix": "10.250.0.0/24",
    "functionsPrefix": "10.250.0.0/25",
    "endpointsPrefix": "10.250.0.128/26",
    "primaryStatus": "Enabled",
    "recoveryStatus": "Disabled",
}


@pytest.mark.parametrize("site", [contoso, beside], ids=["createSite", "beside a site"])
def test_a_variable_that_is_empty_means_the_default(site: Any) -> None:
    """GitHub passes a variable that does not exist as an empty one."""
    spelled, empty = evaluated(site(**OPTIONAL)), evaluated(site(**dict.fromkeys(OPTIONAL, "")))
    assert {path: resource.body for path, resource in empty.resources.items()} == {
        path: resource.body for path, resource in spelled.resources.items()
    }
    assert empty.outputs == spelled.outputs


@needs_bicep
def test_the_compiler_takes_every_optional_variable_empty(tmp_path: Path) -> None:
    done = compiled(tmp_path, beside(**dict.fromkeys(OPTIONAL, "")))
    assert done.returncode == 0, done.stderr


NEEDED = {
    "planName": "COLDSITE_PLAN",
    "operatorEmail": "COLDSITE_OPERATOR_EMAIL",
    "primaryAddress": "COLDSITE_PRIMARY_ADDRESS",
    "recoveryAddress": "COLDSITE_RECOVERY_ADDRESS",
    "sqlProbe": "COLDSITE_SQL_PROBE",
    "notifyUrl": "COLDSITE_NOTIFY_URL",
    "signInClientId": "COLDSITE_APP",
    "signInObjectId": "COLDSITE_APP_OBJECT",
}


@pytest.mark.parametrize(("parameter", "setting"), NEEDED.items())
def test_what_has_no_default_is_named_with_its_command(parameter: str, setting: str) -> None:
    with pytest.raises(TemplateError, match=rf"{setting} is not set\. It holds .*azd env set {setting} VALUE"):
        evaluated(beside(**{parameter: ""}))


@pytest.mark.parametrize("name", ["failoverNetworkId", "drillNetworkId"])
@pytest.mark.parametrize("value", ["", "vnet-failover", f"{NETWORK}/failover/subnets/machines", "a/b/c/d/e/f/g/h/i"])
def test_what_is_no_networks_id_is_said(name: str, value: str) -> None:
    with pytest.raises(
        TemplateError, match=r"COLDSITE_(FAILOVER|DRILL)_NETWORK is .* not the resource id of a network"
    ):
        evaluated(beside(**{name: value}))


def test_a_status_that_is_none_is_said() -> None:
    with pytest.raises(TemplateError, match="COLDSITE_PRIMARY_STATUS is 'enabled', and neither Enabled nor Disabled"):
        evaluated(contoso(primaryStatus="enabled"))


def test_an_environment_whose_name_is_too_long_is_refused_as_by_the_compiler() -> None:
    with pytest.raises(TemplateError, match="environmentName has 36 letters, and at most 20 are allowed"):
        evaluated(contoso(environmentName="e" * 36))


def test_a_site_that_is_to_be_made_must_be_described() -> None:
    with pytest.raises(TemplateError, match=r"Copy it from infra/contoso\.parameters\.json"):
        evaluated(contoso(site={}))


@needs_bicep
@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (beside(planName=""), "COLDSITE_PLAN is not set. It holds the name of the recovery plan"),
        (beside(failoverNetworkId=""), "COLDSITE_FAILOVER_NETWORK is '', and not the resource id of a network"),
        (contoso(site={}), "Copy it from infra/contoso.parameters.json"),
    ],
    ids=["no plan", "no network", "no site"],
)
def test_the_compiler_says_the_same(tmp_path: Path, parameters: dict[str, Any], words: str) -> None:
    done = compiled(tmp_path, parameters)
    assert done.returncode != 0
    assert words in done.stderr + done.stdout


def policies(made: Deployment) -> int:
    return len(made.of_type("Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies"))


def test_a_policy_that_was_locked_is_not_written_again() -> None:
    assert policies(evaluated(contoso())) == 1
    assert policies(evaluated(contoso(documentsLocked=True))) == 0


def test_deployments_of_the_subscription_have_another_name_in_another_region() -> None:
    """Azure keeps the location of a deployment's first run, and refuses another one under that name."""
    text = (INFRA / "main.bicep").read_text()
    assert "'site-${plan}-${location}'" in text
    assert "'permissions-${environmentName}-${location}'" in text
    evaluated(contoso(location="northeurope"))


@pytest.mark.parametrize("address", ["www.contoso.example", "203.0.113.10", "2001:db8::10"])
def test_both_endpoints_are_names_or_both_are_addresses(address: str) -> None:
    """Traffic Manager refuses a profile that mixes them."""
    (profile,) = evaluated(contoso(primaryAddress=address)).of_type("Microsoft.Network/trafficManagerProfiles")
    primary, recovery = (endpoint["properties"]["target"] for endpoint in profile.body["properties"]["endpoints"])
    assert primary == address
    assert str(recovery).endswith(".dnsSettings.fqdn>" if address.startswith("www") else ".properties.ipAddress>")


def test_azd_finds_one_resource_group_for_the_app() -> None:
    made = evaluated(contoso())
    tagged = [
        resource.name
        for resource in made.of_type("Microsoft.Resources/resourceGroups")
        if "azd-env-name" in resource.body["tags"]
    ]
    assert tagged == [made.outputs["AZURE_RESOURCE_GROUP"]] == ["rg-coldsite-contoso"]


@pytest.mark.parametrize("strict", [False, True])
def test_the_strict_network_is_a_choice_and_neither_is_open(strict: bool) -> None:
    made = evaluated(contoso(strictNetwork=strict))
    ends, gateways = made.of_type("Microsoft.Network/privateEndpoints"), made.of_type("Microsoft.Network/natGateways")
    assert (len(ends), "ng-coldsite-contoso" in [gateway.name for gateway in gateways]) == (
        (6, True) if strict else (0, False)
    )
    functions = f"{SUBSCRIPTION}/resourceGroups/rg-coldsite-contoso/providers/Microsoft.Network/virtualNetworks/vnet-coldsite-contoso/subnets/functions"
    closed = [*made.of_type("Microsoft.Storage/storageAccounts"), *made.of_type("Microsoft.KeyVault/vaults")]
    assert len(closed) == 3
    for resource in closed:
        properties = resource.body["properties"]
        assert properties["publicNetworkAccess"] == ("Disabled" if strict else "Enabled")
        assert properties["networkAcls"]["defaultAction"] == "Deny"
        assert [rule["id"] for rule in properties["networkAcls"]["virtualNetworkRules"]] == (
            [] if strict else [f"/subscriptions/{functions}"]
        )


@pytest.mark.parametrize("chosen", [False, True])
def test_durable_task_scheduler_is_a_choice(chosen: bool) -> None:
    made = evaluated(contoso(taskScheduler=chosen))
    (settings,) = [
        resource for resource in made.of_type("Microsoft.Web/sites/config") if resource.name == "appsettings"
    ]
    durable = {name: value for name, value in settings.body["properties"].items() if "durableTask" in name}
    assert len(made.of_type("Microsoft.DurableTask/schedulers/taskHubs")) == int(chosen)
    start = "AzureFunctionsJobHost__extensions__durableTask__"
    assert durable == (
        {
            f"{start}hubName": "coldsite",
            f"{start}storageProvider__type": "azureManaged",
            f"{start}storageProvider__connectionStringName": "DURABLE_TASK_SCHEDULER_CONNECTION_STRING",
        }
        if chosen
        else {}
    )
    assert ("DURABLE_TASK_SCHEDULER_CONNECTION_STRING" in settings.body["properties"]) is chosen


@pytest.mark.parametrize(
    ("addresses", "rules"),
    [("", []), ("203.0.113.7", ["203.0.113.7"]), ("203.0.113.7,203.0.113.8", ["203.0.113.7", "203.0.113.8"])],
)
def test_administrators_reach_the_vault_from_the_addresses_that_were_named(addresses: str, rules: list[str]) -> None:
    (vault,) = evaluated(contoso(administratorAddresses=addresses)).of_type("Microsoft.KeyVault/vaults")
    assert [rule["value"] for rule in vault.body["properties"]["networkAcls"]["ipRules"]] == rules


def test_further_settings_are_secrets_of_the_vault_and_never_replace_the_app_s_own() -> None:
    given = "MOVED_HOOK COLDSITE_SIGN_IN"
    configs = evaluated(contoso(moreSettings=given)).of_type("Microsoft.Web/sites/config")
    (settings,) = [config for config in configs if config.name == "appsettings"]
    assert settings.body["properties"]["MOVED_HOOK"].endswith(";SecretName=moved-hook)")
    assert settings.body["properties"]["COLDSITE_SIGN_IN"] == "required"


# What the evaluator refuses as the compiler does


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"environmentName": ""}, "environmentName has 0 letters, and needs 1"),
        ({"createSite": "false"}, "createSite is 'false', and no bool"),
        ({"site": []}, r"site is \[\], and no object"),
    ],
)
def test_a_value_of_another_type_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        evaluated(contoso(**changes))


def test_what_is_not_made_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "part.bicep").write_text("output name string = 'x'\n")
    (tmp_path / "whole.bicep").write_text(
        "param on bool\nmodule part 'part.bicep' = if (on) {\n  name: 'part'\n}\noutput name string = part!.outputs.name\n"
    )
    assert evaluate(tmp_path / "whole.bicep", {"on": True}, "/subscriptions/s").outputs == {"name": "x"}
    with pytest.raises(TemplateError, match=r"whole\.bicep:5: part!\.outputs reads part, which is not made"):
        evaluate(tmp_path / "whole.bicep", {"on": False}, "/subscriptions/s")


def test_what_is_out_of_bounds_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "short.bicep").write_text("output part string = split('a/b', '/')[2]\n")
    with pytest.raises(TemplateError, match=r"short\.bicep:1: .* is out of bounds"):
        evaluate(tmp_path / "short.bicep", {}, "/subscriptions/s")


# The kept snapshot against the evaluator


def snapshot() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((INFRA / "contoso.snapshot.json").read_text())["predictedResources"]
    return found


def differences(ours: Any, theirs: Any, where: str) -> list[str]:
    """Where two readings of one value differ. A value that only Azure knows is in brackets on one side, and a
    placeholder on the other; a null is ignored.
    """
    if isinstance(theirs, str) and theirs.startswith("["):
        return (
            [] if isinstance(ours, str) and ("<" in ours or ours in SECRETS.values() or "https:" in ours) else [where]
        )
    if isinstance(theirs, dict) and isinstance(ours, dict):
        keys = {key for key in ours | theirs if ours.get(key) is not None or theirs.get(key) is not None}
        return [d for key in sorted(keys) for d in differences(ours.get(key), theirs.get(key), f"{where}.{key}")]
    if isinstance(theirs, list) and isinstance(ours, list) and len(ours) == len(theirs):
        return [
            d for at, (a, b) in enumerate(zip(ours, theirs, strict=True)) for d in differences(a, b, f"{where}.{at}")
        ]
    same = ours.lower() == theirs.lower() if isinstance(ours, str) and isinstance(theirs, str) else ours == theirs
    return [] if same else [f"{where}: {ours!r}, and not {theirs!r}"]


def test_the_evaluator_reads_every_value_as_the_compiler_does() -> None:
    """Names included: unique strings and guids are computed as in Azure. Role assignments have names that only Azure
    knows.
    """
    ours = {path: resource for path, resource in evaluated(contoso()).resources.items() if not resource.existing}
    named = {path: resource for path, resource in ours.items() if resource.type.lower() != ROLE_ASSIGNMENT}
    theirs = {
        resource["id"].lower(): resource for resource in snapshot() if resource["type"].lower() != ROLE_ASSIGNMENT
    }
    assert set(named) == set(theirs)
    found = []
    for path, resource in named.items():
        known = {
            key: value
            for key, value in theirs[path].items()
            if key not in ("id", "type", "apiVersion", "name", "dependsOn", "scope")
        }
        assert theirs[path]["name"].rsplit("/", 1)[-1].lower() == resource.name.lower()
        body = {
            key: value for key, value in resource.body.items() if key not in ("name", "dependsOn", "scope", "parent")
        }
        found += differences(body, known, path)
    assert found == []


def test_the_evaluator_gives_every_role_that_the_compiler_gives() -> None:
    def given(properties: dict[str, Any]) -> str:
        return str(properties["roleDefinitionId"]).lower()

    ours = Counter(
        given(resource.body["properties"])
        for resource in evaluated(contoso()).of_type("Microsoft.Authorization/roleAssignments")
    )
    theirs = Counter(
        given(resource["properties"]) for resource in snapshot() if resource["type"].lower() == ROLE_ASSIGNMENT
    )
    assert ours == theirs


def test_a_difference_would_be_seen() -> None:
    assert differences({"a": 1, "b": [{"c": "X"}]}, {"a": 2, "b": [{"c": "y"}]}, "r") == [
        "r.a: 1, and not 2",
        "r.b.0.c: 'X', and not 'y'",
    ]
    assert differences({"a": Unknown("r.id")}, {"a": "[reference('r').id]"}, "r") == []
    assert differences({"a": "b"}, {"a": "[reference('r').id]"}, "r") == ["r.a"]
