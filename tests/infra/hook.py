"""One hook of infra/ in one simulated Azure, for the tests of hooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.infra.shell import HOOKS, Azure, PowerShell, Ran, environment

ROLES = json.loads((HOOKS / "roles.json").read_text())
CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
MONITOR = "461e8683-5575-4561-ac7f-899cc907d62a"


def scope(number: int, value: str = "access", *, enabled: bool = True) -> dict[str, Any]:
    return {
        "id": f"7d2b5a5e-3f0c-4b44-9d0e-5b0b7f0a1c{number:02}",
        "value": value,
        "type": "User",
        "isEnabled": enabled,
        "adminConsentDisplayName": "Use Coldsite",
        "adminConsentDescription": "Use it.",
    }


def registration(*scopes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    api = {"oauth2PermissionScopes": list(scopes), "preAuthorizedApplications": [], "requestedAccessTokenVersion": None}
    made = {"id": "obj-1", "appId": "app-1", "displayName": "coldsite-acme", "appRoles": ROLES, "identifierUris": []}
    return made | {"api": api} | changes


def profile(group: str = "acme-edge", primary: str = "Enabled", recovery: str = "Disabled") -> dict[str, Any]:
    ends = [("on-premises", 1, primary), ("azure", 2, recovery)]
    endpoints = [{"name": name, "priority": order, "endpointStatus": status} for name, order, status in ends]
    return {"name": "acme", "resourceGroup": group, "endpoints": endpoints}


FAILED_OVER = profile(primary="Disabled", recovery="Enabled")


def directory(
    *apps: dict[str, Any], user: str = "user", current: str = "sub-a", **subscriptions: Any
) -> dict[str, Any]:
    known = {"sub-a": {"profiles": []}, "sub-b": {"profiles": []}}
    known |= {name.replace("_", "-"): {"profiles": profiles} for name, profiles in subscriptions.items()}
    return {
        "account": {"user": {"name": "anna", "type": user}, "current": current, "tenant": "t"},
        "me": "me-1",
        "apps": list(apps),
        "owners": {},
        "sps": [],
        "assignments": [],
        "subscriptions": known,
    }


class Hook:
    """One hook in one Azure."""

    def __init__(self, shell: PowerShell, folder: Path, script: str, state: dict[str, Any]) -> None:
        self._shell, self._folder, self._script = shell, folder, script
        self.azure = Azure(folder, state)

    def run(self, fail: str = "", **settings: str) -> Ran:
        given = {
            "AZURE_ENV_NAME": "acme",
            "AZURE_SUBSCRIPTION_ID": "sub-a",
            "COLDSITE_PLAN": "acme",
            "FAKE_AZURE": str(self._folder),
            "FAKE_AZ_FAIL": fail,
        }
        return self._shell.run(HOOKS / self._script, environment(self._folder, **given | settings))

    def ends_well(self, fail: str = "", **settings: str) -> Ran:
        ran = self.run(fail, **settings)
        assert ran.error is None, ran.visible
        return ran

    def stops(self, fail: str = "", **settings: str) -> str:
        """The hook ends with an error, and sets no azd setting."""
        ran = self.run(fail, **settings)
        assert ran.error is not None, ran.visible
        assert self.azure.settings == {}
        return ran.visible
