"""One hook of infra/ in one simulated Azure, for the tests of hooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.infra.shell import HOOKS, Azure, PowerShell, Ran, environment


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
        assert ran.error is None, ran.said
        return ran

    def stops(self, fail: str = "", **settings: str) -> str:
        """The hook ends with an error, and sets no azd setting."""
        ran = self.run(fail, **settings)
        assert ran.error is not None, ran.said
        assert self.azure.settings == {}
        return ran.said
