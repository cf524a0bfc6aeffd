"""Whether automatic failover is trusted: a recent drill, and enough observation."""

from __future__ import annotations

from datetime import datetime

from shared.models.detection import Trust
from shared.models.durations import spoken


def trust_limitation(
    trust: Trust | None, last_good_drill: datetime | None, observing_since: datetime, now: datetime
) -> str | None:
    """Why an automatic failover needs approval, in a sentence; None when it does not."""
    if trust is None:
        return None
    if last_good_drill is None or now - last_good_drill > trust.drill_within:
        limit = spoken(trust.drill_within.total_seconds())
        return f"No drill has succeeded within the last {limit}, so a person must approve."
    if now - observing_since < trust.observed_for:
        limit = spoken(trust.observed_for.total_seconds())
        return f"Coldsite has watched this plan for less than {limit}, so a person must approve."
    return None
