"""An order that comes after its deadline is refused: what it was given for is no longer so."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.models.operations import Refusal, Refused

TOO_LATE = "TooLate"
"""The codes of orders that Coldsite itself refuses: another run holds the plan, or the order's time is over."""


def too_late(not_after: datetime | None, why: str) -> Refused | None:
    """A retry that comes after its deadline must not act: what it was ordered for is no longer so by then."""
    if not_after is None or datetime.now(UTC) <= not_after:
        return None
    return Refused(refusal=Refusal(kind="permanent", code=TOO_LATE, message=why))
