"""The newest look at the primary and at the replica, as the site's state keeps them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from shared.models.base import Strict
from shared.models.evidence import Evidence


class SiteLook(Strict):
    """The newest round of evidence on the primary, and since when it has said so."""

    at: datetime
    says: Literal["down", "up", "unclear", "blind"]
    since: datetime
    evidence: list[Evidence]

    @property
    def bad(self) -> list[str]:
        """The checks of the primary that found it down."""
        return sorted(e.signal for e in self.evidence if e.role == "evidence" and e.counts_as == "down")


class ReplicaLook(Strict):
    """The newest state of the replica. ``problem`` says why it could not be read, or what is wrong; ``bad_since`` is
    the first of the unbroken series of bad states until now.
    """

    at: datetime
    state: str = "unknown"
    connected: bool | None = None
    queue_bytes: int | None = None
    replicated_until: datetime | None = None
    problem: str | None = None
    bad_since: datetime | None = None
