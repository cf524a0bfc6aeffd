"""A probe's answer."""

from __future__ import annotations

from datetime import datetime

from shared.plan import Strict


class ProbeAnswer(Strict):
    """``detail`` says what was seen in a few words. ``answered`` means that something spoke, if only nonsense;
    ``untrusted`` that it spoke, but our login was refused or its certificate is not trusted; ``hopeless`` that waiting
    longer cannot help.
    """

    healthy: bool
    detail: str
    answered: bool = False
    untrusted: bool = False
    hopeless: bool = False
    newest_commit: datetime | None = None
