"""A probe's answer."""

from __future__ import annotations

from datetime import datetime

from shared.plan import Strict


class ProbeAnswer(Strict):
    """``detail`` says what was seen in a few words. ``hopeless`` means that waiting longer cannot help."""

    healthy: bool
    detail: str
    hopeless: bool = False
    newest_commit: datetime | None = None
