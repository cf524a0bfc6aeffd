"""An order that arrives after its deadline is refused: its reason no longer holds."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.models.operations import Refusal, Refused

TOO_LATE = "TooLate"
"""The codes of orders that Coldsite itself refuses: another run holds the plan, or the deadline has passed."""


def too_late(not_after: datetime | None, why: str) -> Refused | None:
    """A retry that arrives after its deadline must not act: its reason no longer holds by then."""
    if not_after is None or datetime.now(UTC) <= not_after:
        return None
    return Refused(refusal=Refusal(kind="permanent", code=TOO_LATE, message=why))
