"""App settings: the only reader of the environment."""

from __future__ import annotations

import os
from pathlib import Path

from shared.errors import SettingError

_PUBLIC_CLOUD = "https://management.azure.com"


def _required(name: str, what: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise SettingError(f"The app setting {name} is missing. It holds {what}.")
    return value


def plans_folder() -> Path:
    """Where the recovery plans lie."""
    return Path(os.environ.get("COLDSITE_PLANS") or Path(__file__).parent.parent / "plans")


def tables_endpoint() -> str:
    """The history's storage account, reached with the app's identity."""
    return _required("COLDSITE_TABLES_ENDPOINT", "the table endpoint of the history's storage account")


def resource_manager() -> str:
    """Azure Resource Manager's address, which differs between Azure's clouds."""
    return os.environ.get("COLDSITE_RESOURCE_MANAGER", _PUBLIC_CLOUD).rstrip("/")


def resource_manager_audience() -> str:
    """For whom tokens are asked when calling Azure Resource Manager."""
    return os.environ.get("COLDSITE_RESOURCE_MANAGER_AUDIENCE", _PUBLIC_CLOUD).rstrip("/")


def logs_endpoint() -> str:
    return os.environ.get("COLDSITE_LOGS_ENDPOINT", "https://api.loganalytics.io/v1").rstrip("/")


def workspace_id() -> str:
    return _required("COLDSITE_WORKSPACE_ID", "the Log Analytics workspace's id (a GUID)")


def dns_server() -> tuple[str, int] | None:
    """The DNS server to ask, or None for the machine's own."""
    value = os.environ.get("COLDSITE_DNS_SERVER", "").strip()
    if not value:
        return None
    host, _, port = value.partition(":")
    return host, int(port or 53)


def named(setting: str) -> str:
    """The value of a setting that a plan names: an address, a credential, a URL."""
    return _required(setting, "a value that the recovery plan names")


def credential(setting: str) -> tuple[str, str]:
    """A ``user:password`` setting, in Azure a Key Vault reference. Raises ``SettingError`` without showing it."""
    user, colon, password = named(setting).partition(":")
    if not colon or not user:
        raise SettingError(f"The app setting {setting} does not hold user:password.")
    return user, password


def signed_in_person(headers: dict[str, str]) -> str | None:
    """Who Easy Auth says is calling; believed only where the platform says that Easy Auth is on.

    Source: MicrosoftDocs/azure-docs:articles/app-service/configure-authentication-user-identities.md
    """
    if os.environ.get("WEBSITE_AUTH_ENABLED", "").lower() != "true":
        return None
    return next((value for name, value in headers.items() if name.lower() == "x-ms-client-principal-name"), None)
