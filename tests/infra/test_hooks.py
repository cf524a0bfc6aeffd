"""The hooks of infra/, run by PowerShell against stand-ins of az and azd: what passes, and what stops a deployment."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.infra.hook import CLI, FAILED_OVER, MONITOR, ROLES, Hook, directory, profile, registration, scope
from tests.infra.shell import HOOKS, PROJECT, Azure, PowerShell, environment, needs_powershell

pytestmark = needs_powershell

PRIMARY, RECOVERY = "COLDSITE_PRIMARY_STATUS", "COLDSITE_RECOVERY_STATUS"


# sign-in


def complete(state: Any) -> None:
    """A registration as Coldsite needs it, whatever existed before."""
    app = state["apps"][-1]
    assert f"api://{app['appId']}" in app["identifierUris"]
    enabled = [scope for scope in app["api"]["oauth2PermissionScopes"] if scope["isEnabled"]]
    assert {"appId": CLI, "delegatedPermissionIds": [enabled[0]["id"]]} in app["api"]["preAuthorizedApplications"]
    assert app["api"]["requestedAccessTokenVersion"] == 2
    assert {role["value"] for role in app["appRoles"]} == {role["value"] for role in ROLES}
    principal = next(principal for principal in state["sps"] if principal["appId"] == app["appId"])
    sender = next(principal for principal in state["sps"] if principal["appId"] == MONITOR)
    assert principal["appRoleAssignmentRequired"]
    webhook = next(role["id"] for role in ROLES if role["value"] == "ActionGroupsSecureWebhook")
    given = {"principalId": sender["id"], "resourceId": principal["id"], "appRoleId": webhook}
    assert state["assignments"].count(given) == 1


@pytest.mark.parametrize(
    "apps",
    [
        [],
        [registration(scope(5))],
        [registration(scope(5), scope(6, "other"))],
        [registration(scope(6, "old", enabled=False), scope(5))],
        [registration(scope(6, "old", enabled=False))],
        [registration(scope(6, "access", enabled=False))],
        [registration(scope(5) | {"id": "7d2b5a5e-3f0c-4b44-9d0e-5b0b7f0a1c05", "isEnabled": False})],
        [registration(scope(5), appRoles=[])],
        [registration(scope(5), displayName="coldsite-acme2", appId="app-2", id="obj-2")],
    ],
    ids=[
        "nothing",
        "one scope",
        "two scopes",
        "one off",
        "only one off",
        "one of that value off",
        "its own off",
        "no roles",
        "a longer name",
    ],
)
def test_a_registration_is_made_complete_and_told_to_azd(
    shell: PowerShell, tmp_path: Path, apps: list[dict[str, Any]]
) -> None:
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory(*apps))
    hook.ends_well()
    complete(hook.azure.state)
    app = hook.azure.state["apps"][-1]
    assert hook.azure.settings == {"COLDSITE_APP": app["appId"], "COLDSITE_APP_OBJECT": app["id"]}


def test_a_second_run_changes_nothing(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory())
    hook.ends_well()
    first = hook.azure.state
    hook.ends_well()
    assert hook.azure.state == first


def test_whoever_deploys_is_an_owner_and_may_operate(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory(registration(scope(5))))
    hook.ends_well()
    operator = next(role["id"] for role in ROLES if role["value"] == "operator")
    assert hook.azure.state["owners"] == {"obj-1": ["me-1"]}
    assert [
        assignment["principalId"]
        for assignment in hook.azure.state["assignments"]
        if assignment["appRoleId"] == operator
    ] == ["me-1"]


def test_a_pipeline_may_ask_whether_coldsite_works(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory(registration(scope(5)), user="servicePrincipal"))
    hook.ends_well()
    viewer = next(role["id"] for role in ROLES if role["value"] == "viewer")
    given = [
        assignment["principalId"] for assignment in hook.azure.state["assignments"] if assignment["appRoleId"] == viewer
    ]
    assert given == ["principal-of-anna"]


def test_a_pipeline_is_made_no_owner(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory(registration(scope(5)), user="servicePrincipal"))
    hook.ends_well()
    complete(hook.azure.state)
    assert hook.azure.state["owners"] == {}


def test_what_others_put_into_the_registration_stays(shell: PowerShell, tmp_path: Path) -> None:
    app = registration(scope(5), scope(6, "other"), identifierUris=["https://contoso.example/x"])
    app["api"]["preAuthorizedApplications"] = [{"appId": "a-tool", "delegatedPermissionIds": [scope(6)["id"]]}]
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory(app))
    hook.ends_well()
    complete(hook.azure.state)
    (found,) = hook.azure.state["apps"]
    assert "https://contoso.example/x" in found["identifierUris"]
    assert "a-tool" in [application["appId"] for application in found["api"]["preAuthorizedApplications"]]


def test_a_name_with_a_blank_and_a_quote(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory())
    hook.ends_well(AZURE_ENV_NAME="an o'neil")
    hook.ends_well(AZURE_ENV_NAME="an o'neil")
    assert [app["displayName"] for app in hook.azure.state["apps"]] == ["coldsite-an o'neil"]


def test_a_registration_that_entra_does_not_know_yet_is_waited_for(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory())
    ran = hook.ends_well("applications/*2=404")
    assert ran.slept == 20
    complete(hook.azure.state)


def test_it_does_not_wait_for_ever(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory())
    assert "Microsoft Entra refused PATCH" in hook.stops("applications/=404")


@pytest.mark.parametrize("number", range(1, 17))
def test_a_call_that_fails_stops_the_deployment(shell: PowerShell, tmp_path: Path, number: int) -> None:
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory(registration(scope(5), scope(6, "other"))))
    hook.stops(f"{number}=exit1")
    assert len(hook.azure.calls) == number


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        ("ad=login", "az"),
        ("ad app create=empty", "az gave no answer"),
        ("ad app create=403", "az"),
    ],
)
def test_what_az_refuses_stops_the_deployment(shell: PowerShell, tmp_path: Path, fail: str, words: str) -> None:
    assert words in Hook(shell, tmp_path, "sign-in.ps1", directory()).stops(fail)


def test_azd_that_keeps_nothing_stops_the_deployment(shell: PowerShell, tmp_path: Path) -> None:
    Hook(shell, tmp_path, "sign-in.ps1", directory(registration(scope(5)))).stops(FAKE_AZD_FAIL="1")


def test_two_registrations_of_one_name_are_not_chosen_from(shell: PowerShell, tmp_path: Path) -> None:
    twins = [registration(scope(5)), registration(scope(5), id="obj-2", appId="app-2")]
    output = Hook(shell, tmp_path, "sign-in.ps1", directory(*twins)).stops()
    assert "app-1, app-2" in output
    assert "azd env set COLDSITE_APP" in output


def test_another_directory_is_not_written_to(shell: PowerShell, tmp_path: Path) -> None:
    state = directory(current="sub-b")
    state["subscriptions"]["sub-a"]["tenant"] = "another"
    hook = Hook(shell, tmp_path, "sign-in.ps1", state)
    assert "az account set --subscription sub-a" in hook.stops()
    assert hook.azure.state["apps"] == []


GIVEN = {"COLDSITE_APP": "app-1", "COLDSITE_APP_OBJECT": "obj-1"}


def test_a_registration_that_is_given_is_left_alone_and_what_it_lacks_is_said(
    shell: PowerShell, tmp_path: Path
) -> None:
    state = directory(registration(appRoles=ROLES[:1]))
    hook = Hook(shell, tmp_path, "sign-in.ps1", state)
    output = hook.ends_well(**GIVEN).text
    assert hook.azure.state == state
    for lacking in ("operator", "api://app-1", CLI, "version 2", "owner add --id app-1", "enterprise application"):
        assert lacking in output


def test_a_registration_that_an_earlier_run_made_lacks_nothing(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory(registration(scope(5))))
    hook.ends_well()
    made = hook.azure.state
    assert "with all that Coldsite needs" in hook.ends_well(**GIVEN).text
    assert hook.azure.state == made


def test_a_second_administrator_hears_how_to_become_an_owner(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory(registration(scope(5))))
    hook.ends_well()
    (tmp_path / "state.json").write_text(json.dumps(hook.azure.state | {"me": "me-2"}))
    output = hook.ends_well(**GIVEN).text
    assert "az ad app owner add --id app-1 --owner-object-id me-2" in output
    assert "a role for you" in output


def test_a_registration_that_is_given_and_not_there_stops_the_deployment(shell: PowerShell, tmp_path: Path) -> None:
    Hook(shell, tmp_path, "sign-in.ps1", directory()).stops(**GIVEN)


@pytest.mark.parametrize("only", sorted(GIVEN))
def test_half_a_registration_stops_the_deployment(shell: PowerShell, tmp_path: Path, only: str) -> None:
    hook = Hook(shell, tmp_path, "sign-in.ps1", directory(registration(scope(5), displayName="by hand")))
    (missing,) = set(GIVEN) - {only}
    assert f"Set {missing} (" in hook.stops(**{only: GIVEN[only]})
    assert len(hook.azure.state["apps"]) == 1


# routing


@pytest.mark.parametrize(
    ("state", "settings"),
    [
        (directory(sub_a=[profile()]), {PRIMARY: "Enabled", RECOVERY: "Disabled"}),
        (directory(sub_a=[FAILED_OVER]), {PRIMARY: "Disabled", RECOVERY: "Enabled"}),
        (directory(sub_a=[FAILED_OVER | {"resourceGroup": "ACME-Edge"}]), {PRIMARY: "Disabled", RECOVERY: "Enabled"}),
        (directory(current="sub-b", sub_a=[FAILED_OVER]), {PRIMARY: "Disabled", RECOVERY: "Enabled"}),
        (
            directory(current="sub-b", sub_a=[FAILED_OVER], sub_b=[profile()]),
            {PRIMARY: "Disabled", RECOVERY: "Enabled"},
        ),
        (directory(sub_a=[profile("other-edge"), FAILED_OVER]), {PRIMARY: "Disabled", RECOVERY: "Enabled"}),
        (directory(), {}),
        (
            directory(
                sub_a=[
                    profile()
                    | {
                        "endpoints": [
                            {"name": "on-premises", "priority": 2, "endpointStatus": "Disabled"},
                            {"name": "azure", "priority": 1, "endpointStatus": "Enabled"},
                        ]
                    }
                ]
            ),
            {PRIMARY: "Disabled", RECOVERY: "Enabled"},
        ),
    ],
    ids=[
        "at home",
        "failed over",
        "other letters",
        "other subscription",
        "same names elsewhere",
        "two groups",
        "not there",
        "priorities swapped",
    ],
)
def test_the_endpoints_stay_as_they_are(
    shell: PowerShell, tmp_path: Path, state: dict[str, Any], settings: dict[str, str]
) -> None:
    hook = Hook(shell, tmp_path, "routing.ps1", state)
    hook.ends_well()
    assert hook.azure.settings == settings


@pytest.mark.parametrize(
    "fail", ["profile list=exit1", "profile list=empty", "profile show=exit1", "profile show=empty", "profile=login"]
)
def test_a_profile_that_cannot_be_read_stops_the_deployment(shell: PowerShell, tmp_path: Path, fail: str) -> None:
    Hook(shell, tmp_path, "routing.ps1", directory(sub_a=[FAILED_OVER])).stops(fail)


def test_a_profile_that_should_be_there_and_is_not_stops_the_deployment(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "routing.ps1", directory(sub_b=[FAILED_OVER]))
    output = hook.stops(**{PRIMARY: "Disabled", RECOVERY: "Enabled"})
    assert "is not in the group acme-edge of the subscription sub-a" in output


def test_a_site_that_exists_must_be_found(shell: PowerShell, tmp_path: Path) -> None:
    """Only with createSite is there a deployment before there is a profile."""
    Hook(shell, tmp_path, "before.ps1", directory(registration(scope(5)))).ends_well(COLDSITE_CREATE_SITE="true")
    output = Hook(shell, tmp_path, "before.ps1", directory(registration(scope(5)))).run().visible
    assert "The Traffic Manager profile acme is not in the group acme-edge" in output
    assert "azd env set COLDSITE_PROFILE_NAME NAME" in output


def test_the_primary_sites_endpoint_must_be_found(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "before.ps1", directory(registration(scope(5)), sub_a=[profile()]))
    output = hook.run(COLDSITE_PRIMARY_ENDPOINT="premises").visible
    assert "The profile acme has no endpoint premises; it has on-premises, azure." in output
    assert PRIMARY not in hook.azure.settings


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": "page", "priority": 3, "endpointStatus": "Disabled"}, "has the endpoints on-premises, azure, page"),
        ({"name": "azure", "priority": 2, "endpointStatus": "Stopped"}, "neither Enabled nor Disabled"),
    ],
)
def test_endpoints_that_are_not_two_sites_stop_the_deployment(
    shell: PowerShell, tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    ends = [end for end in FAILED_OVER["endpoints"] if end["name"] != more["name"]]
    hook = Hook(shell, tmp_path, "routing.ps1", directory(sub_a=[FAILED_OVER | {"endpoints": [*ends, more]}]))
    assert words in hook.run().visible
    assert RECOVERY not in hook.azure.settings


def test_statuses_that_azd_cannot_keep_stop_the_deployment(shell: PowerShell, tmp_path: Path) -> None:
    Hook(shell, tmp_path, "routing.ps1", directory(sub_a=[FAILED_OVER])).stops(FAKE_AZD_FAIL="1")


def test_a_group_with_a_quote_is_a_name_like_any_other(shell: PowerShell, tmp_path: Path) -> None:
    hook = Hook(shell, tmp_path, "routing.ps1", directory(sub_a=[FAILED_OVER | {"resourceGroup": "o'neil-edge"}]))
    hook.ends_well(COLDSITE_EDGE_GROUP_NAME="o'neil-edge")
    assert hook.azure.settings[PRIMARY] == "Disabled"


@pytest.mark.parametrize("missing", ["COLDSITE_PLAN", "AZURE_SUBSCRIPTION_ID"])
def test_without_its_settings_nothing_is_read(shell: PowerShell, tmp_path: Path, missing: str) -> None:
    hook = Hook(shell, tmp_path, "routing.ps1", directory())
    assert f"{missing} is not set" in hook.stops(**{missing: ""})
    assert hook.azure.calls == []


# before: as azd runs it, in a process of its own


def before(folder: Path, state: dict[str, Any], fail: str = "") -> tuple[int, Azure]:
    azure = Azure(folder, state)
    given = {
        "AZURE_ENV_NAME": "acme",
        "AZURE_SUBSCRIPTION_ID": "sub-a",
        "COLDSITE_PLAN": "acme",
        "FAKE_AZURE": str(folder),
        "FAKE_AZ_FAIL": fail,
    }
    words = [shutil.which("sh") or "sh", "-c", f"pwsh {HOOKS / 'before.ps1'}"]
    done = subprocess.run(words, env=environment(folder, **given), capture_output=True, text=True, check=False)
    return done.returncode, azure


@pytest.mark.parametrize("fail", ["ad app list=403", "profile list=exit1"])
def test_azd_sees_that_a_hook_failed(tmp_path: Path, fail: str) -> None:
    status, azure = before(tmp_path, directory(registration(scope(5)), sub_a=[FAILED_OVER]), fail)
    assert status == 1
    assert PRIMARY not in azure.settings


def test_azd_sees_that_all_went_well(tmp_path: Path) -> None:
    status, azure = before(tmp_path, directory(registration(scope(5)), sub_a=[profile()]))
    assert status == 0
    assert set(azure.settings) == {*GIVEN, PRIMARY, RECOVERY}


def test_without_az_nothing_is_deployed(tmp_path: Path) -> None:
    """The stand-ins' folder is left out of PATH, and with it az."""
    only = tmp_path / "bin"
    only.mkdir()
    for name in ("pwsh", "sh", "env", "dirname", "sed", "readlink"):
        if found := shutil.which(name):
            (only / name).symlink_to(found)
    given = environment(tmp_path, AZURE_SUBSCRIPTION_ID="sub-a", COLDSITE_PLAN="acme") | {"PATH": str(only)}
    words = [str(only / "pwsh"), "-NoProfile", "-File", str(HOOKS / "routing.ps1")]
    done = subprocess.run(words, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "'az' is not recognized" in done.stderr


def test_azd_runs_every_hook_that_there_is() -> None:
    text = (PROJECT / "azure.yaml").read_text()
    called = (HOOKS / "before.ps1").read_text()
    assert {hook.name for hook in HOOKS.glob("*.ps1") if hook.name not in text + called} == set()
