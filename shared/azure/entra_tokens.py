"""Microsoft Entra's tokens, as the secure webhook of an action group sends them: signature, issuer, audience, time.

Sources: MicrosoftDocs/entra-docs, access-tokens and signing-key-rollover (keys are published, named by ``kid``, and may
change at any time); MicrosoftDocs/azure-monitor-docs:articles/azure-monitor/alerts/action-groups.md.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
import jwt

from shared.models.errors import AccessError, DirectoryUnavailableError
from shared.settings import AlertTokens

LEEWAY = 300
"""Seconds of allowed clock skew, as in Microsoft's own libraries."""
KEYS_KEPT_FOR = 24 * 3600.0
ASK_AGAIN_AFTER = 60.0
"""Seconds. A forged token names an unknown key; it must not cause a fetch of the keys at each call."""
FETCH_LIMIT = 3.0
MAX_KEYS_BYTES = 256 * 1024

NOT_KNOWN = "A valid token of this directory, issued for Coldsite, is required."


class _Keys:
    """The directory's public keys by ``kid``, fetched when they are old or lack one; callers share a fetch."""

    def __init__(self) -> None:
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._fetching: asyncio.Task[dict[str, jwt.PyJWK]] | None = None

    async def find(self, kid: str, wanted: AlertTokens) -> jwt.PyJWK | None:
        """The key, or None when the directory, asked a moment ago, has none of that name.

        Raises ``DirectoryUnavailableError`` when it cannot be asked. Known keys remain in use meanwhile.
        """
        now = time.monotonic()
        known = kid in self._keys
        old = now - self._fetched > KEYS_KEPT_FOR and now - self._tried > ASK_AGAIN_AFTER
        if old or (not known and now - self._fetched > ASK_AGAIN_AFTER):
            self._tried = now
            if self._fetching is None or self._fetching.done():
                self._fetching = asyncio.create_task(_fetch(wanted))
            try:
                self._keys = await asyncio.shield(self._fetching)
                self._fetched = time.monotonic()
            except DirectoryUnavailableError:
                if not known:
                    raise
        return self._keys.get(kid)


_known: WeakKeyDictionary[asyncio.AbstractEventLoop, _Keys] = WeakKeyDictionary()


async def _fetch(wanted: AlertTokens) -> dict[str, jwt.PyJWK]:
    url = f"{wanted.login}/{wanted.tenant}/discovery/v2.0/keys"
    timeout = aiohttp.ClientTimeout(total=FETCH_LIMIT)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            raw = b""
            async for part in response.content.iter_chunked(MAX_KEYS_BYTES):
                raw += part
                if len(raw) > MAX_KEYS_BYTES:
                    raise DirectoryUnavailableError
            if response.status != 200:
                raise DirectoryUnavailableError
        data = json.loads(raw)
        if not isinstance(data, dict):
            raise DirectoryUnavailableError
        found = jwt.PyJWKSet.from_dict(data)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, TypeError, jwt.PyJWTError) as error:
        raise DirectoryUnavailableError from error
    return {key.key_id: key for key in found.keys if key.key_id}


async def verified_claims(token: str, wanted: AlertTokens) -> dict[str, Any]:
    """The claims of a token that Entra issued for this app and that is valid now; else ``AccessError`` 401.

    Raises ``DirectoryUnavailableError`` while the signing keys cannot be read: an action group then resends.
    """
    keys = _known.setdefault(asyncio.get_running_loop(), _Keys())
    issuers = [f"https://sts.windows.net/{wanted.tenant}/", f"https://login.microsoftonline.com/{wanted.tenant}/v2.0"]
    try:
        key = await keys.find(str(jwt.get_unverified_header(token).get("kid")), wanted)
        if key is None:
            raise AccessError(401, NOT_KNOWN, "no key of the directory signed the token")
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=["RS256"],
            audience=list(wanted.audiences),
            issuer=issuers,
            leeway=LEEWAY,
            options={"require": ["exp", "nbf", "aud", "iss"]},
        )
    except jwt.PyJWTError as error:
        raise AccessError(401, NOT_KNOWN, f"the token is invalid: {type(error).__name__}") from error
    return claims
