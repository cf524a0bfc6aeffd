"""settings.ps1: missing and invalid settings are named with their command, before anything is created."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.infra.hook import Hook, directory
from tests.infra.shell import PROJECT, PowerShell, environment, needs_powershell

pytestmark = needs_powershell

NETWORK = "/subscriptions/sub-a/resourceGroups/net/providers/Microsoft.Network/virtualNetworks"
SETTINGS = {
    "COLDSITE_PLAN": "contoso",
    "COLDSITE_OPERATOR_EMAIL": "it@acme.example",
    "COLDSITE_PRIMARY_ADDRESS": "203.0.113.10",
    "COLDSITE_RECOVERY_ADDRESS": "198.51.100.20",
    "COLDSITE_SQL_PROBE": "coldsite:s3cret",
    "COLDSITE_NOTIFY_URL": "mailto://s3cret@acme.example",
    "COLDSITE_FAILOVER_NETWORK": f"{NETWORK}/failover",
    "COLDSITE_DRILL_NETWORK": f"{NETWORK}/drill",
}


def test_settings_that_are_complete_pass(shell: PowerShell, tmp_path: Path) -> None:
    Hook(shell, tmp_path, "settings.ps1", directory()).ends_well(**SETTINGS)


@pytest.mark.parametrize("missing", sorted(SETTINGS))
@pytest.mark.parametrize("value", ["", "  "])
def test_a_setting_that_is_missing_is_named_with_its_command(
    shell: PowerShell, tmp_path: Path, missing: str, value: str
) -> None:
    output = Hook(shell, tmp_path, "settings.ps1", directory()).stops(**SETTINGS | {missing: value})
    assert f"{missing} is not set. It holds" in output
    assert f"azd env set {missing}" in output
    assert "1 setting must be corrected" in output


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("COLDSITE_PLAN", "acme", "coldsite plan init acme"),
        ("COLDSITE_PLAN", "Acme Shop", "small letters"),
        ("COLDSITE_PLAN", "Contoso", "small letters"),
        ("COLDSITE_PLAN", "contoso-", "small letters"),
        ("COLDSITE_FAILOVER_NETWORK", "vnet-failover", "a resource id"),
        ("COLDSITE_DRILL_NETWORK", f"{NETWORK}/drill/subnets/x", "a resource id"),
        ("COLDSITE_OPERATOR_EMAIL", "the admin", "an e-mail address"),
        ("COLDSITE_SQL_PROBE", "s3cret", "with a colon"),
        ("COLDSITE_NOTIFY_URL", "s3cret", "an Apprise address"),
        ("COLDSITE_USE_VPN", "yes", "true or false"),
        ("COLDSITE_CREATE_SITE", "1", "true or false"),
        ("COLDSITE_TASK_SCHEDULER", "on", "true or false"),
        ("COLDSITE_NETWORK_PREFIX", "10.250.0.0", "a range of addresses"),
        ("COLDSITE_NETWORK_PREFIX", "nonsense", "a range of addresses"),
        ("COLDSITE_PRIMARY_ADDRESS", "203.0.113.400", "an address or a host name"),
        ("COLDSITE_RECOVERY_ADDRESS", "n/a n/a", "an address or a host name"),
        ("COLDSITE_PRIMARY_ADDRESS", "https://shop.acme.example", "without https://"),
        ("COLDSITE_PRIMARY_STATUS", "enabled", "Enabled or Disabled"),
        ("COLDSITE_PROFILE_NAME", "my profile", "without blanks"),
        ("COLDSITE_EDGE_GROUP_NAME", "a/b?c", "the name of a resource group"),
        ("COLDSITE_ADMINISTRATOR_ADDRESSES", "...", "public addresses"),
        ("COLDSITE_MORE_SETTINGS", "MOVED_HOOK=https://a.example/", "names of app settings"),
        ("COLDSITE_OBSERVER_ADDRESS", "https://example.com/", "without https://"),
        ("COLDSITE_ADMINISTRATOR_ADDRESSES", "203.0.113.7, 203.0.113.8", "no blank"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_and_no_secret_is_shown(
    shell: PowerShell, tmp_path: Path, name: str, value: str, words: str
) -> None:
    output = Hook(shell, tmp_path, "settings.ps1", directory()).stops(**SETTINGS | {name: value})
    assert f"{name} is" in output
    assert words in output
    assert value == "acme" or f"Type: azd env set {name}" in output
    assert "s3cret" not in output


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"COLDSITE_DRILL_NETWORK": SETTINGS["COLDSITE_FAILOVER_NETWORK"]}, "a drill would not be isolated"),
        ({"COLDSITE_RECOVERY_ADDRESS": "203.0.113.10"}, "are the same"),
        ({"COLDSITE_NETWORK_PREFIX": "10.99.0.0/24"}, "COLDSITE_FUNCTIONS_PREFIX (10.250.0.0/25) lies outside"),
        ({"COLDSITE_ENDPOINTS_PREFIX": "10.250.0.64/26"}, "overlap"),
        ({"COLDSITE_FUNCTIONS_PREFIX": "10.250.0.0/28"}, "a /27 at least"),
        ({"COLDSITE_PLAN": "contoso "}, "COLDSITE_PLAN begins or ends with a blank"),
        ({"AZURE_ENV_NAME": "e" * 36}, "at most 20 letters"),
        ({"AZURE_ENV_NAME": ""}, "at most 20 letters"),
    ],
)
def test_settings_that_contradict_each_other_are_named(
    shell: PowerShell, tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    assert words in Hook(shell, tmp_path, "settings.ps1", directory()).stops(**SETTINGS | settings)


def test_a_network_of_ones_own_choice_passes(shell: PowerShell, tmp_path: Path) -> None:
    ranges = {"NETWORK": "10.99.0.0/24", "FUNCTIONS": "10.99.0.0/26", "ENDPOINTS": "10.99.0.64/27"}
    chosen = {f"COLDSITE_{name}_PREFIX": value for name, value in ranges.items()}
    Hook(shell, tmp_path, "settings.ps1", directory()).ends_well(**SETTINGS | chosen)


def test_a_name_that_no_template_knows_is_named(shell: PowerShell, tmp_path: Path) -> None:
    """COLDSITE_STRICT_NETWORKS would leave the network open without a message."""
    hook = Hook(shell, tmp_path, "settings.ps1", directory())
    assert "COLDSITE_STRICT_NETWORKS is no setting" in hook.stops(**SETTINGS | {"COLDSITE_STRICT_NETWORKS": "true"})
    hook.ends_well(**SETTINGS | {"COLDSITE_STRICT_NETWORKS": "", "COLDSITE_URL": "https://x", "COLDSITE_SITE": "{}"})


def test_a_site_that_is_to_be_made_must_be_described(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "settings.ps1", directory())
    output = hook.stops(**SETTINGS | {"COLDSITE_CREATE_SITE": "true", "COLDSITE_FAILOVER_NETWORK": ""})
    assert "infra/main.parameters.json does not describe the site" in output
    assert "COLDSITE_VPN_KEY is not set" in output
    assert "COLDSITE_FAILOVER_NETWORK" not in output


def test_the_plan_of_a_site_that_is_to_be_made_comes_later(shell: PowerShell, tmp_path: Path) -> None:
    """The plan names the site's machine, disks and interfaces, which do not exist yet."""
    hook = Hook(shell, tmp_path, "settings.ps1", directory())
    ran = hook.run(**SETTINGS | {"COLDSITE_CREATE_SITE": "true", "COLDSITE_PLAN": "acme"})
    assert "plans/acme.yaml does not exist yet" in ran.text
    assert "COLDSITE_PLAN is" not in ran.visible


EXAMPLE = json.loads((PROJECT / "infra" / "contoso.parameters.json").read_text())["parameters"]["site"]["value"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"replica": None}, "site.replica is missing"),
        ({"networks": None}, "site.networks is missing"),
        ({"networks": EXAMPLE["networks"] | {"drills": "10.9.0.0/16"}}, "site.networks.drills in infra/main"),
        ({"disks": []}, "site.disks in infra/main.parameters.json must be a list"),
        ({"disks": [{**EXAMPLE["disks"][0], "size": 9}]}, "site.disks[0].size in infra/main"),
    ],
)
def test_a_site_is_described_whole_and_without_misspelt_keys(
    shell: PowerShell, tmp_path: Path, change: dict[str, Any], words: str | None
) -> None:
    for file in ("azure.yaml", "infra/main.bicep", "infra/contoso.parameters.json", "infra/hooks/settings.ps1"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / file, tmp_path / file)
    parameters = json.loads((PROJECT / "infra" / "main.parameters.json").read_text())
    parameters["parameters"]["site"] = {"value": EXAMPLE | change}
    (tmp_path / "infra" / "main.parameters.json").write_text(json.dumps(parameters))
    settings = SETTINGS | {
        "AZURE_ENV_NAME": "acme",
        "COLDSITE_CREATE_SITE": "true",
        "COLDSITE_VPN_KEY": "k",
        "COLDSITE_REPLICA_PASSWORD": "p",
    }
    ran = shell.run(tmp_path / "infra" / "hooks" / "settings.ps1", environment(tmp_path, **settings))
    assert ran.error is None if words is None else words in ran.visible
