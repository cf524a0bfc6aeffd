"""Microsoft Entra as the lab needs it: tokens, their signing keys, and the deployed roles' permissions.

The token endpoint speaks App Service's protocol of 2019-08-01 (source: azure-identity, ``app_service.py`` and msal's
``managed_identity.py``). The roles are those that ``infra/`` deploys, so that a permission is written once.
"""

from __future__ import annotations

import fnmatch
import secrets
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from lab.cloud.errors import ArmError

TENANT = "00000000-0000-0000-0000-0000000000a1"
APP = "00000000-0000-0000-0000-0000000000a2"
PERSON = "00000000-0000-0000-0000-0000000000a3"
API = "00000000-0000-0000-0000-0000000000a4"
"""The app's own registration: the audience of people's tokens and of alerts' tokens."""
MONITOR = "461e8683-5575-4561-ac7f-899cc907d62a"
"""Azure Monitor's application, which sends alerts to secure webhooks."""
A_DAY = 86400


@dataclass(frozen=True)
class Grant:
    """The app identity's rights at a scope, and below it."""

    scope: str
    actions: tuple[str, ...]


class Identity:
    """Issues and checks tokens. ``azure_cli`` may read everything; the app has its roles' rights."""

    def __init__(self, subscription: str, grants: Iterable[Grant], key: rsa.RSAPrivateKey | None = None) -> None:
        self._key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._kid = secrets.token_hex(8)
        self._subscription = subscription
        self._grants = list(grants)
        self.header = secrets.token_hex(16)
        self.person_header = secrets.token_hex(16)
        self.used: set[tuple[str, str]] = set()
        """Which granted actions were needed, with their scopes."""

    async def token(self, request: web.Request) -> web.Response:
        """GET with X-IDENTITY-HEADER, api-version and resource; answers an access token."""
        header = request.headers.get("X-IDENTITY-HEADER", "")
        if header not in (self.header, self.person_header):
            return web.json_response(
                {"statusCode": 401, "message": "X-IDENTITY-HEADER is missing or wrong."}, status=401
            )
        if request.query.get("api-version") != "2019-08-01" or not request.query.get("resource"):
            return web.json_response({"statusCode": 400, "message": "api-version and resource are needed."}, status=400)
        resource, now = request.query["resource"], int(time.time())
        who = APP if header == self.header else PERSON
        claims = {
            "oid": who,
            "appid": who,
            "xms_mirid": f"/subscriptions/{self._subscription}/resourcegroups/lab/providers/Microsoft.Web/sites/lab",
        }
        return web.json_response(
            {
                "access_token": self.issue(resource, claims),
                "expires_on": str(now + A_DAY),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": who,
            }
        )

    def issue(self, audience: str, claims: dict[str, Any], *, age: int = 0, key: Any = None) -> str:
        """A token of this directory that lasts a day, ``age`` seconds old already; ``key`` is a forger's own."""
        now = int(time.time()) - age
        common = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{TENANT}/",
            "iat": now,
            "nbf": now - 60,
            "exp": now + A_DAY,
            "tid": TENANT,
            "ver": "1.0",
        }
        return jwt.encode(common | claims, key or self._key, algorithm="RS256", headers={"kid": self._kid})

    @property
    def mark(self) -> str:
        """The common claims of every token of this directory."""
        return self.issue("", {}).partition(".")[0]

    def person_token(self, name: str, roles: list[str]) -> str:
        """The token of a person who signed in to Coldsite: one person for each name."""
        person = {"oid": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), "preferred_username": f"{name}@contoso.example"}
        return self.issue(API, person | {"roles": roles})

    def webhook_token(self, **claims: Any) -> str:
        """Azure Monitor's token for a secure webhook; ``claims`` replace its own."""
        ours = {"oid": MONITOR, "appid": MONITOR, "roles": ["ActionGroupsSecureWebhook"]}
        return self.issue(f"api://{API}", ours | claims)

    async def keys(self, request: web.Request) -> web.Response:
        """GET /TENANT/discovery/v2.0/keys: the public keys that verify a token."""
        if request.match_info["tenant"] != TENANT:
            return web.json_response({"error": "invalid_tenant"}, status=400)
        public = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return web.json_response({"keys": [public | {"kid": self._kid, "use": "sig", "x5t": self._kid}]})

    def claims(self, token: str, audience: str) -> dict[str, Any] | None:
        """The claims of a token that was issued here for ``audience`` and is valid now, else None."""
        try:
            found: dict[str, Any] = jwt.decode(
                token, self._key.public_key(), algorithms=["RS256"], audience=audience, options={"require": ["exp"]}
            )
        except jwt.PyJWTError:
            return None
        return found

    def caller(self, request: web.Request, audiences: set[str]) -> str:
        """The sender of the request. Raises ``ArmError`` 401 for a missing, foreign or expired token."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ArmError(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                options={"verify_aud": False, "require": ["aud", "exp", "oid"]},
            )
        except jwt.ExpiredSignatureError:
            raise ArmError(401, "ExpiredAuthenticationToken", "The access token expiry is in the past.") from None
        except jwt.PyJWTError:
            raise ArmError(401, "InvalidAuthenticationToken", "The access token is invalid.") from None
        if str(claims["aud"]).rstrip("/") not in audiences:
            raise ArmError(
                401, "InvalidAuthenticationTokenAudience", f"The access token has been obtained for '{claims['aud']}'."
            )
        return str(claims["oid"])

    @property
    def grants(self) -> list[Grant]:
        """The roles of the app's identity."""
        return self._grants

    def grant(self, more: Grant) -> None:
        """Grants the app a further right, as an administrator does."""
        self._grants.append(more)

    def check(self, caller: str, action: str, scope: str) -> None:
        """Raises ``ArmError`` 403 unless a role grants ``action`` at ``scope``, with Azure's own words."""
        if caller == PERSON and action.endswith("/read"):
            return
        place = scope.lower() + "/"
        for grant in self._grants if caller == APP else []:
            if place.startswith(grant.scope.lower() + "/"):
                for pattern in grant.actions:
                    if fnmatch.fnmatchcase(action.lower(), pattern.lower()):
                        self.used.add((grant.scope, pattern))
                        return
        raise ArmError(
            403,
            "AuthorizationFailed",
            f"The client '{caller}' with object id '{caller}' does not have authorization to perform action '{action}' "
            f"over scope '{scope}' or the scope is invalid.",
        )
