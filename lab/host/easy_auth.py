"""App Service Authentication in front of the app: calls without a valid token are rejected, others carry the caller.

A caller's headers with the platform's own names never reach the app while it is on.

Source: MicrosoftDocs/azure-docs:articles/app-service/{overview-authentication-authorization,
configure-authentication-user-identities}.md
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

OWN_HEADERS = "x-ms-client-principal"


class EasyAuth:
    """``verify`` returns a token's claims, or None for a foreign token; ``excluded`` paths need none."""

    def __init__(self, verify: Callable[[str], dict[str, Any] | None], excluded: frozenset[str]) -> None:
        self._verify = verify
        self._excluded = excluded

    def headers(self, request: web.Request) -> dict[str, str] | None:
        """The platform's headers for a request; None when the request must be answered 401."""
        if request.path.rstrip("/") in self._excluded:
            return {}
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        claims = self._verify(token.strip()) if scheme.lower() == "bearer" else None
        if claims is None:
            return None
        principal = {
            "auth_typ": "aad",
            "claims": [
                {"typ": kind, "val": str(value)}
                for kind, values in claims.items()
                for value in (values if isinstance(values, list) else [values])
            ],
            "name_typ": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
            "role_typ": "roles",
        }
        return {
            "X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps(principal).encode()).decode(),
            "X-MS-CLIENT-PRINCIPAL-ID": str(claims.get("oid", "")),
            "X-MS-CLIENT-PRINCIPAL-NAME": str(claims.get("preferred_username", "")),
            "X-MS-CLIENT-PRINCIPAL-IDP": "aad",
        }
