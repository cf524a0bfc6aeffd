"""A probe's answer."""

from __future__ import annotations

from datetime import datetime

from shared.models.base import Strict


class ProbeAnswer(Strict):
    """``detail`` describes the result in a few words. ``answered`` means any answer, even an invalid one.

    ``untrusted``: Coldsite's own login, certificate, address, query or client is the cause, so the answer says nothing
    about the health of the site. ``hopeless``: waiting longer cannot help. ``unmeasured`` says why a healthy database
    has no ``newest_commit`` although the plan asks for one: a measurement never decides health.
    """

    healthy: bool
    detail: str
    answered: bool = False
    untrusted: bool = False
    hopeless: bool = False
    state: str | None = None
    """SQL Server's word for the state of the database, where it was read."""
    read_only: bool = False
    newest_commit: datetime | None = None
    rows: int | None = None
    """The count that a ``CountProbe`` asks for."""
    unmeasured: str | None = None
