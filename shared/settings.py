"""App settings: the only reader of the environment."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from shared.models.errors import SettingError
from shared.models.places import is_setting, split_place
from shared.models.signing import key_of

_PUBLIC_CLOUD = "https://management.azure.com"


def _required(name: str, what: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise SettingError(f"The app setting {name} is missing. Set it to {what}.")
    if value.startswith("@Microsoft.KeyVault("):
        raise SettingError(f"The app setting {name} refers to Key Vault, and the platform could not read the secret.")
    return value


def plans_folder() -> Path:
    """The folder of the recovery plans."""
    return Path(os.environ.get("COLDSITE_PLANS") or Path(__file__).parent.parent / "plans")


def tables_endpoint() -> str:
    """The history's storage account, reached with the app's identity."""
    return _required("COLDSITE_TABLES_ENDPOINT", "the table endpoint of the history's storage account")


def documents_endpoint() -> str | None:
    """The blob container for copies of documents, reached with the app's identity; None where there is none."""
    return os.environ.get("COLDSITE_DOCUMENTS_ENDPOINT", "").strip().rstrip("/") or None


def resource_manager() -> str:
    """Azure Resource Manager's address, which differs between Azure's clouds."""
    return os.environ.get("COLDSITE_RESOURCE_MANAGER", _PUBLIC_CLOUD).rstrip("/")


def resource_manager_audience() -> str:
    """The audience of tokens for Azure Resource Manager."""
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


def resolvers() -> list[str]:
    """The resolvers that are asked whether they have seen a cutover: IPv4 addresses with an optional port. By default
    three that many customers use; empty where none are asked. Raises ``SettingError`` for anything else.
    """
    named = os.environ.get("COLDSITE_RESOLVERS", "1.1.1.1 8.8.8.8 9.9.9.9").split()
    if wrong := [address for address in named if not re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?", address)]:
        raise SettingError(f"The app setting COLDSITE_RESOLVERS contains {wrong[0]!r}, which is not an IPv4 address.")
    return named


def page() -> str | None:
    """The address of the page, for messages; None outside of App Service, which sets its host's name.

    Source: MicrosoftDocs/azure-docs:articles/app-service/reference-app-settings.md
    """
    host = os.environ.get("WEBSITE_HOSTNAME", "").strip()
    return f"https://{host}/api/dashboard" if host else None


def named(setting: str) -> str:
    """The value of a setting that a plan names: an address, a credential, a URL."""
    return _required(setting, "a value that the recovery plan names")


def is_set(setting: str) -> bool:
    """Whether a setting that a plan names has a value. A vault reference that could not be resolved is none."""
    value = os.environ.get(setting, "")
    return bool(value) and not value.startswith("@Microsoft.KeyVault(")


def place(value: str, default_port: int) -> tuple[str, int]:
    """The address and the port of a probe: ``10.0.0.5``, ``web01:8443``, ``[2001:db8::5]:443`` or a setting.

    A name in capitals without an underscore is a setting where that setting exists, and a host name otherwise. Raises
    ``SettingError`` for anything but an address: that is a configuration error and says nothing of the site.
    """
    by_setting = is_setting(value) or (value.isupper() and value in os.environ)
    found = split_place(named(value) if by_setting else value)
    if found is None:
        where = f"The app setting {value}" if by_setting else repr(value)
        raise SettingError(f"{where} does not contain an address with an optional port, for example 203.0.113.10:8443.")
    host, port = found
    return host, port or default_port


def credential(setting: str) -> tuple[str, str]:
    """A ``user:password`` setting, in Azure a Key Vault reference. Raises ``SettingError`` without showing it."""
    user, colon, password = named(setting).partition(":")
    if not colon or not user:
        raise SettingError(f"The app setting {setting} does not contain user:password.")
    return user, password


def hook_secret() -> bytes | None:
    """The key that signs the calls of hooks; None while they are not signed. Raises ``SettingError`` for another format
    than ``whsec_`` and the key in base64.
    """
    return _key("COLDSITE_HOOK_SECRET") if os.environ.get("COLDSITE_HOOK_SECRET", "").strip() else None


def status_url() -> str | None:
    """The provider's address for the status; None where there is none."""
    return os.environ.get("COLDSITE_STATUS_URL", "").strip() or None


def status_secret() -> bytes:
    """The key that signs the status. Raises ``SettingError`` where it is missing or has another format."""
    return _key("COLDSITE_STATUS_SECRET")


def heartbeat_url() -> str | None:
    """The address that is called after each complete sweep; None where there is none."""
    return os.environ.get("COLDSITE_HEARTBEAT_URL", "").strip() or None


def _key(setting: str) -> bytes:
    try:
        return key_of(_required(setting, "whsec_ and a key in base64"))
    except ValueError:
        raise SettingError(
            f"The app setting {setting} is not whsec_ and a key of 24 bytes or more in base64."
        ) from None


def sign_in_required() -> bool:
    """Whether people must sign in instead of holding a function key. A misspelt value must not grant access."""
    value = os.environ.get("COLDSITE_SIGN_IN", "off").strip()
    if value not in ("required", "off"):
        raise SettingError("The app setting COLDSITE_SIGN_IN is neither required nor off.")
    return value == "required"


def sign_in_is_on() -> bool:
    """Whether App Service Authentication is on. Only then can its headers be trusted.

    Source: App Service's environment variables for authentication,
    MicrosoftDocs/azure-docs:articles/app-service/reference-app-settings.md
    """
    return os.environ.get("WEBSITE_AUTH_ENABLED", "").strip().lower() == "true"


class AlertTokens(NamedTuple):
    """The required audience and issuer of a secure webhook's token."""

    audiences: tuple[str, ...]
    tenant: str
    login: str


def alert_tokens() -> AlertTokens | None:
    """None while alerts come by function key. An incomplete configuration prevents the start."""
    audiences = tuple(os.environ.get("COLDSITE_ALERTS_AUDIENCE", "").split())
    if not audiences:
        return None
    tenant = _required("COLDSITE_TENANT_ID", "the directory that issues the tokens of alerts")
    login = os.environ.get("COLDSITE_LOGIN_ENDPOINT", "https://login.microsoftonline.com").rstrip("/")
    return AlertTokens(audiences, tenant, login)
