"""Signatures of what Coldsite sends: Standard Webhooks, so that receivers can use a library.

Source: standard-webhooks/standard-webhooks:spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

_SHORTEST_KEY = 24
TOLERANCE = 300
"""Seconds. A message that is older, or from further in the future, is refused: it may be an old one again."""


def key_of(secret: str) -> bytes:
    """The key of ``whsec_`` and base64. Raises ``ValueError`` for another format, and for fewer than 24 bytes."""
    key = base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)
    if len(key) < _SHORTEST_KEY:
        raise ValueError(f"the key has {len(key)} bytes, and {_SHORTEST_KEY} are needed")
    return key


def signature(key: bytes, message_id: str, body: bytes, now: float) -> dict[str, str]:
    """The three headers that sign a message at ``now``, seconds since 1970."""
    moment = str(int(now))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{_signed(key, message_id, moment, body)}",
    }


def is_genuine(key: bytes, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Whether a message was signed with the key within five minutes of ``now``. ``headers`` are by lower-case name."""
    message_id, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not moment.isascii() or not moment.isdigit() or len(moment) > 12 or abs(now - int(moment)) > TOLERANCE:
        return False
    expected = _signed(key, message_id, moment, body)
    given = [
        token.removeprefix("v1,") for token in headers.get("webhook-signature", "").split() if token.startswith("v1,")
    ]
    return any(hmac.compare_digest(candidate.encode(), expected.encode()) for candidate in given)


def _signed(key: bytes, message_id: str, moment: str, body: bytes) -> str:
    text = f"{message_id}.{moment}.".encode() + body
    return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
