"""settings.ps1: what is missing or makes no sense is named with its command, before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.hook import Hook, directory
from tests.infra.shell import PowerShell, needs_powershell

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
    said = Hook(shell, tmp_path, "settings.ps1", directory()).stops(**SETTINGS | {missing: value})
    assert f"{missing} is not set. It holds" in said
    assert f"azd env set {missing}" in said
    assert "1 setting must be corrected" in said


@pytest.mark.parametrize(
    ("name", "value", "said"),
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
        ("COLDSITE_OBSERVER_ADDRESS", "https://example.com/", "without https://"),
        ("COLDSITE_ADMINISTRATOR_ADDRESSES", "203.0.113.7, 203.0.113.8", "no blank"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_and_no_secret_is_shown(
    shell: PowerShell, tmp_path: Path, name: str, value: str, said: str
) -> None:
    told = Hook(shell, tmp_path, "settings.ps1", directory()).stops(**SETTINGS | {name: value})
    assert f"{name} is" in told
    assert said in told
    assert value == "acme" or f"Type: azd env set {name}" in told
    assert "s3cret" not in told


def test_a_name_that_no_template_knows_is_named(shell: PowerShell, tmp_path: Path) -> None:
    """COLDSITE_STRICT_NETWORKS would leave the network open, and nothing would say so."""
    hook = Hook(shell, tmp_path, "settings.ps1", directory())
    assert "COLDSITE_STRICT_NETWORKS is no setting" in hook.stops(**SETTINGS | {"COLDSITE_STRICT_NETWORKS": "true"})
    hook.ends_well(**SETTINGS | {"COLDSITE_STRICT_NETWORKS": "", "COLDSITE_URL": "https://x", "COLDSITE_SITE": "{}"})


def test_a_site_that_is_to_be_made_must_be_described(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "settings.ps1", directory())
    said = hook.stops(**SETTINGS | {"COLDSITE_CREATE_SITE": "true", "COLDSITE_FAILOVER_NETWORK": ""})
    assert "infra/main.parameters.json does not describe the site" in said
    assert "COLDSITE_VPN_KEY is not set" in said
    assert "COLDSITE_FAILOVER_NETWORK" not in said


def test_the_plan_of_a_site_that_is_to_be_made_comes_later(shell: PowerShell, tmp_path: Path) -> None:
    """It names the site's machine, disks and interfaces, and there are none yet."""
    hook = Hook(shell, tmp_path, "settings.ps1", directory())
    ran = hook.run(**SETTINGS | {"COLDSITE_CREATE_SITE": "true", "COLDSITE_PLAN": "acme"})
    assert "plans/acme.yaml does not exist yet" in ran.text
    assert "COLDSITE_PLAN is" not in ran.said
