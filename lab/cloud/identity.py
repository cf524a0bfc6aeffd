"""Managed identity and roles: who calls, with which token, and what the deployed roles allow.

The token endpoint speaks App Service's protocol of 2019-08-01 (source: azure-identity, ``app_service.py`` and msal's
``managed_identity.py``). The roles are the files that ``infra/`` deploys, so that a permission is written once.
"""

from __future__ import annotations

import fnmatch
import json
import secrets
import time
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web

from lab.cloud.errors import ArmError

ROLES = Path(__file__).parents[2] / "infra" / "roles"
TENANT = "00000000-0000-0000-0000-0000000000a1"
APP = "00000000-0000-0000-0000-0000000000a2"
PERSON = "00000000-0000-0000-0000-0000000000a3"


class Identity:
    """Issues and checks tokens. ``azure_cli`` may read everything; the app may do what its roles say."""

    def __init__(self, subscription: str, groups: dict[str, str]) -> None:
        self._key = secrets.token_hex(32)
        self._subscription = subscription
        self.header = secrets.token_hex(16)
        self.person_header = secrets.token_hex(16)
        self.used: set[str] = set()
        self._granted: list[tuple[str, list[str]]] = []
        for file in sorted(ROLES.glob("*.json")):
            role = json.loads(file.read_text())
            scope = role["Scope"]
            path = f"/subscriptions/{subscription}"
            if scope != "subscription":
                path += f"/resourcegroups/{groups[scope].lower()}"
            self._granted.append((path, role["Actions"]))

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
            "aud": resource,
            "iss": f"https://sts.windows.net/{TENANT}/",
            "iat": now,
            "nbf": now - 60,
            "exp": now + 86400,
            "tid": TENANT,
            "oid": who,
            "appid": who,
            "ver": "1.0",
            "xms_mirid": f"/subscriptions/{self._subscription}/resourcegroups/lab/providers/Microsoft.Web/sites/lab",
        }
        token = jwt.encode(claims, self._key, algorithm="HS256")
        return web.json_response(
            {
                "access_token": token,
                "expires_on": str(claims["exp"]),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": who,
            }
        )

    def caller(self, request: web.Request, audiences: set[str]) -> str:
        """Who sent the request. Raises ``ArmError`` 401 for a missing, foreign or expired token."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ArmError(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._key, algorithms=["HS256"], options={"verify_aud": False, "require": ["aud", "exp", "oid"]}
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

    def check(self, caller: str, action: str, scope: str) -> None:
        """Raises ``ArmError`` 403 unless a role grants ``action`` at ``scope``, with Azure's own words."""
        if caller == PERSON and action.endswith("/read"):
            return
        place = scope.lower() + "/"
        for path, actions in self._granted if caller == APP else []:
            if place.startswith(path + "/"):
                for pattern in actions:
                    if fnmatch.fnmatchcase(action.lower(), pattern.lower()):
                        self.used.add(pattern)
                        return
        raise ArmError(
            403,
            "AuthorizationFailed",
            f"The client '{caller}' with object id '{caller}' does not have authorization to perform action '{action}' "
            f"over scope '{scope}' or the scope is invalid.",
        )
