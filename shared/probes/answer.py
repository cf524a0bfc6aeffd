"""A probe's answer."""

from __future__ import annotations

from datetime import datetime

from shared.models.base import Strict


class ProbeAnswer(Strict):
    """``detail`` says what was seen in a few words. ``answered`` means that something spoke, if only nonsense.

    ``untrusted``: the reason lies with our own login, certificate, address, query or client, so the answer says
    nothing about the health of the site. ``hopeless``: waiting longer cannot help. ``unmeasured`` says why a healthy
    database has no ``newest_commit`` although the plan asks for one: a measure never decides health.
    """

    healthy: bool
    detail: str
    answered: bool = False
    untrusted: bool = False
    hopeless: bool = False
    newest_commit: datetime | None = None
    unmeasured: str | None = None
