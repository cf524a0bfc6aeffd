"""Who may do what: people by their roles after sign-in, tools by function key, alerts by key or by token.

Two ways, chosen by the app setting ``COLDSITE_SIGN_IN``. ``off``: the Functions host asks for a function key, and who
holds one may do everything, without a name. ``required``: App Service Authentication signs people in with Microsoft
Entra, and the app's roles decide; a function key then opens nothing for people.
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
"""What the Functions host asks for before it calls the app."""

_log = logging.getLogger("coldsite.access")
_MAX_PRINCIPAL = 64 * 1024
_OBJECT_ID = ("oid", "http://schemas.microsoft.com/identity/claims/objectidentifier")
_NAMES = ("preferred_username", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", "name", "appid", "azp")
_ROLE_TYPES = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
"""Both spellings come: Azure/azure-functions-host issue 3898."""

WEBHOOK_CALLER = "461e8683-5575-4561-ac7f-899cc907d62a"
WEBHOOK_ROLE = "ActionGroupsSecureWebhook"
"""Azure Monitor's own application, and the role that it must have been given in the app's registration.

Source: MicrosoftDocs/azure-monitor-docs:articles/azure-monitor/alerts/action-groups.md
"""


class Caller(Person):
    """Who calls, and as what."""

    roles: frozenset[PersonRole]


KEY_HOLDER = Caller(name="somebody with the function key", roles=frozenset(ROLES))


def caller_of(request: func.HttpRequest, needs: PersonRole) -> Caller:
    """The caller, who has the role that is needed; a viewer is anybody with a role.

    Raises ``AccessError``, before anything is looked up, so that a stranger learns nothing of what exists.
    """
    headers = {name.lower(): value for name, value in dict(request.headers).items()}
    _own_page(headers, request.url)
    if not settings.sign_in_is_on():
        if settings.sign_in_required():
            raise AccessError(
                401,
                "Sign-in is required, and App Service Authentication is off. Turn it on; until then nobody is let in.",
                "sign-in is required and the platform's is off",
            )
        return KEY_HOLDER
    caller = _signed_in(headers.get("x-ms-client-principal", ""))
    if needs not in caller.roles and not (needs == "viewer" and caller.roles):
        raise AccessError(
            403,
            f"You lack the role {needs}. An administrator assigns it under Enterprise applications, Users and groups.",
            f"{caller.name} ({caller.id}) lacks the role {needs}; has {', '.join(sorted(caller.roles)) or 'none'}",
        )
    return caller


def _signed_in(principal: str) -> Caller:
    """Reads the platform's header: base64 of JSON with ``auth_typ`` and ``claims`` of ``typ`` and ``val``.

    Source: MicrosoftDocs/azure-docs:articles/app-service/configure-authentication-user-identities.md
    """
    told = "Sign in first: a principal of Microsoft Entra is needed."
    if not principal or len(principal) > _MAX_PRINCIPAL:
        raise AccessError(401, told, "no principal")
    try:
        data = json.loads(base64.b64decode(principal, validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise AccessError(401, told, "a principal that cannot be read") from error
    claims = data.get("claims") if isinstance(data, dict) else None
    if not isinstance(claims, list) or str(data.get("auth_typ")).lower() not in ("aad", "azureactivedirectory"):
        raise AccessError(401, told, "a principal that is not Microsoft Entra's")
    found: dict[str, list[str]] = {}
    for claim in claims:
        if isinstance(claim, dict) and isinstance(claim.get("typ"), str) and isinstance(claim.get("val"), str):
            found.setdefault(claim["typ"], []).append(claim["val"])
    people = {value for kind in _OBJECT_ID for value in found.get(kind, [])}
    if len(people) != 1:
        raise AccessError(401, told, "a principal with no object id, or with two")
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
    """A browser says from whose page it comes; another site's page must not act with a signed-in person's cookie."""
    origin = headers.get("origin")
    own = {headers.get("host", ""), re.sub(r"^[a-z]+://([^/]*).*$", r"\1", url)}
    if origin and origin.partition("://")[2].lower() not in {name.lower() for name in own if name}:
        raise AccessError(403, "Another site's page may not call Coldsite.", "a page of another site")


async def check_alert_sender(request: func.HttpRequest) -> None:
    """Where tokens are configured, only Azure Monitor may send alerts: its token must be issued by our directory, for
    us, to its application, with the role that we gave it. Raises ``AccessError``. Else the host has asked for the key.
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
"""When refusals were kept: strangers at the one door must not hide what happens at the other."""


def _path(url: str) -> str:
    return re.sub(r"^[a-z]+://[^/?]*", "", url).partition("?")[0]


async def record_refusal(request: func.HttpRequest, error: AccessError) -> None:
    """Writes a refusal to the log, and up to ``_KEPT_AN_HOUR`` of each door to the history: whoever knocks without end
    must not fill the storage. That the history is away changes no refusal.
    """
    where = f"{request.method} {_printable(_path(request.url))}"
    _log.warning("Refused %s (%s): %s", where, error.status, error.because)
    now, recent = time.monotonic(), _recent[error.at]
    recent[:] = [moment for moment in recent if now - moment < 3600]
    if len(recent) < _KEPT_AN_HOUR:
        recent.append(now)
        with contextlib.suppress(ColdsiteError, AzureError):
            await record_event(REFUSALS, f"{error.status} {where}: {error.because}")
