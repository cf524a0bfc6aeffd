"""Who is let in: people by their roles after sign-in, tools by function key, alerts by key or token. Which role may
approve, retry or abort a run: ``run_actions.py``.

Two modes, chosen by the app setting ``COLDSITE_SIGN_IN``. ``off``: the Functions host requires a function key, and its
holder may do everything, without a name. ``required``: App Service Authentication signs people in with Microsoft
Entra, and the app's roles decide; a function key then grants people nothing.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, Literal

import azure.functions as func
from azure.core.exceptions import AzureError

from shared import settings
from shared.azure.entra_tokens import NOT_KNOWN, verified_claims
from shared.models.errors import AccessError, ColdsiteError
from shared.models.runs import Person
from shared.store.events import REFUSALS, record_event

PersonRole = Literal["viewer", "operator", "approver"]
ROLES: tuple[PersonRole, ...] = ("viewer", "operator", "approver")

FOR_PEOPLE = func.AuthLevel.ANONYMOUS if settings.sign_in_required() else func.AuthLevel.FUNCTION
FOR_ALERTS = func.AuthLevel.ANONYMOUS if settings.alert_tokens() else func.AuthLevel.FUNCTION
"""What the Functions host requires before it calls the app."""

_log = logging.getLogger("coldsite.access")
_MAX_PRINCIPAL = 64 * 1024
_OBJECT_ID = ("oid", "http://schemas.microsoft.com/identity/claims/objectidentifier")
_NAMES = ("preferred_username", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", "name", "appid", "azp")
_ROLE_TYPES = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
"""Both spellings occur: Azure/azure-functions-host issue 3898."""

WEBHOOK_CALLER = "461e8683-5575-4561-ac7f-899cc907d62a"
WEBHOOK_ROLE = "ActionGroupsSecureWebhook"
"""Azure Monitor's own application, and the role that it needs in the app's registration.

Source: MicrosoftDocs/azure-monitor-docs:articles/azure-monitor/alerts/action-groups.md
"""


class Caller(Person):
    """The caller, and its roles."""

    roles: frozenset[PersonRole]


KEY_HOLDER = Caller(name="a holder of the function key", roles=frozenset(ROLES))


def caller_of(request: func.HttpRequest, needs: PersonRole) -> Caller:
    """The caller, with the required role; any role includes viewer.

    Raises ``AccessError`` before any lookup, so that an unauthenticated caller learns nothing of what exists.
    """
    headers = {name.lower(): value for name, value in dict(request.headers).items()}
    _own_page(headers, request.url)
    if not settings.sign_in_is_on():
        if settings.sign_in_required():
            raise AccessError(
                401,
                "Sign-in is required, but App Service Authentication is off; every request is rejected until it is on.",
                "sign-in is required and App Service Authentication is off",
            )
        return KEY_HOLDER
    caller = _signed_in(headers.get("x-ms-client-principal", ""))
    if needs not in caller.roles and not (needs == "viewer" and caller.roles):
        raise AccessError(
            403,
            f"The role {needs} is required. An administrator can assign it: Enterprise applications, Users and groups.",
            f"{caller.name} ({caller.id}) lacks the role {needs}; has {', '.join(sorted(caller.roles)) or 'none'}",
        )
    return caller


def _signed_in(principal: str) -> Caller:
    """Reads the platform's header: base64 of JSON with ``auth_typ`` and ``claims`` of ``typ`` and ``val``.

    Source: MicrosoftDocs/azure-docs:articles/app-service/configure-authentication-user-identities.md
    """
    needed = "Sign-in with Microsoft Entra is required."
    if not principal or len(principal) > _MAX_PRINCIPAL:
        raise AccessError(401, needed, "no principal")
    try:
        data = json.loads(base64.b64decode(principal, validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise AccessError(401, needed, "a principal that cannot be read") from error
    claims = data.get("claims") if isinstance(data, dict) else None
    if not isinstance(claims, list) or str(data.get("auth_typ")).lower() not in ("aad", "azureactivedirectory"):
        raise AccessError(401, needed, "a principal that Microsoft Entra did not issue")
    found: dict[str, list[str]] = {}
    for claim in claims:
        if isinstance(claim, dict) and isinstance(claim.get("typ"), str) and isinstance(claim.get("val"), str):
            found.setdefault(claim["typ"], []).append(claim["val"])
    people = {value for kind in _OBJECT_ID for value in found.get(kind, [])}
    if len(people) != 1:
        raise AccessError(401, needed, "a principal with no object id, or with two")
    person = people.pop()
    role_types = {*_ROLE_TYPES, str(data.get("role_typ"))}
    given = {value.lower() for kind in role_types for value in found.get(kind, [])}
    roles = frozenset(role for role in ROLES if role in given)
    return Caller(name=_printable(_first(found, _NAMES) or person), id=person, roles=roles)


def _first(claims: Mapping[str, list[str]], kinds: tuple[str, ...]) -> str | None:
    return next((claims[kind][0] for kind in kinds if claims.get(kind)), None)


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable())[:200]


def _own_page(headers: Mapping[str, str], url: str) -> None:
    """A browser names the page's origin; another site's page must not act with a signed-in person's cookie."""
    origin = headers.get("origin")
    own = {headers.get("host", ""), re.sub(r"^[a-z]+://([^/]*).*$", r"\1", url)}
    if origin and origin.partition("://")[2].lower() not in {name.lower() for name in own if name}:
        raise AccessError(403, "Coldsite does not accept calls from pages of other sites.", "a page of another site")


async def check_alert_sender(request: func.HttpRequest) -> None:
    """Where tokens are configured, only Azure Monitor may send alerts: its token must be issued by this directory, for
    this app, to Azure Monitor, with the assigned role. Raises ``AccessError``. Else the host has checked the key.
    """
    wanted = settings.alert_tokens()
    if wanted:
        try:
            _is_monitor(await verified_claims(_bearer(request), wanted))
        except AccessError as error:
            error.at = "alerts"
            raise


def _bearer(request: func.HttpRequest) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or not token.isascii() or len(token) > _MAX_PRINCIPAL:
        raise AccessError(401, NOT_KNOWN, "no token")
    return str(token).strip()


def _is_monitor(claims: Mapping[str, Any]) -> None:
    who = claims.get("appid") or claims.get("azp")
    if who != WEBHOOK_CALLER:
        raise AccessError(403, "Only Azure Monitor's action groups may send alerts.", f"the token is {who}'s")
    roles = claims.get("roles")
    if not isinstance(roles, list) or WEBHOOK_ROLE not in roles:
        raise AccessError(
            403,
            f"Azure Monitor lacks the role {WEBHOOK_ROLE} in the app's registration; docs/security.md says how to "
            "assign it.",
            f"Azure Monitor lacks the role {WEBHOOK_ROLE}",
        )


# Refusals

_KEPT_AN_HOUR = 30
_recent: dict[str, list[float]] = {"alerts": [], "people": []}
"""When refusals were recorded, by route: a flood at one must not hide refusals at another."""


def _path(url: str) -> str:
    return re.sub(r"^[a-z]+://[^/?]*", "", url).partition("?")[0]


async def record_refusal(request: func.HttpRequest, error: AccessError) -> None:
    """Writes a refusal to the log, and up to ``_KEPT_AN_HOUR`` of each route to the history: endless requests must not
    fill the storage. An unavailable history changes no refusal.
    """
    where = f"{request.method} {_printable(_path(request.url))}"
    _log.warning("Refused %s (%s): %s", where, error.status, error.because)
    now, recent = time.monotonic(), _recent[error.at]
    recent[:] = [moment for moment in recent if now - moment < 3600]
    if len(recent) < _KEPT_AN_HOUR:
        recent.append(now)
        with contextlib.suppress(ColdsiteError, AzureError):
            await record_event(REFUSALS, f"{error.status} {where}: {error.because}")
