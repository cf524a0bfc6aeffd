"""Signatures of what Coldsite sends: Standard Webhooks, so that receivers can use a library.

Source: standard-webhooks/standard-webhooks:spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping

TOLERANCE = 300
"""Seconds. A message that is older, or from further in the future, is refused: it may be an old one again."""


def signature(key: bytes, message_id: str, body: bytes) -> dict[str, str]:
    """The three headers that sign a message now."""
    moment = str(int(time.time()))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{_signed(key, message_id, moment, body)}",
    }


def is_genuine(key: bytes, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a message was signed with the key within the last five minutes. ``headers`` are by lower-case name."""
    message_id, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not moment.isascii() or not moment.isdigit() or len(moment) > 12 or abs(time.time() - int(moment)) > TOLERANCE:
        return False
    expected = _signed(key, message_id, moment, body)
    given = [one.removeprefix("v1,") for one in headers.get("webhook-signature", "").split() if one.startswith("v1,")]
    return any(hmac.compare_digest(one.encode(), expected.encode()) for one in given)


def _signed(key: bytes, message_id: str, moment: str, body: bytes) -> str:
    text = f"{message_id}.{moment}.".encode() + body
    return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
