"""Whether automatic failover is trusted: a recent drill, and enough observation."""

from __future__ import annotations

from datetime import datetime

from shared.models.detection import Trust
from shared.models.durations import spoken


def trust_limitation(
    trust: Trust | None,
    last_good_drill: datetime | None,
    observing_since: datetime,
    now: datetime,
    failed_back_at: datetime | None = None,
    changed_since_the_drill: bool = False,
) -> str | None:
    """Why an automatic failover needs approval, in a sentence; None when it does not.

    ``changed_since_the_drill``: the last good drill recovered something else (``RecoveryPlan.recovery_hash``). After a
    failback replication begins again, so only a drill since then proves anything, whatever the plan says.
    """
    if failed_back_at and (last_good_drill is None or last_good_drill < failed_back_at):
        return "No drill has succeeded since the failback, so a person must approve."
    if trust is None:
        return None
    if last_good_drill is None or now - last_good_drill > trust.drill_within:
        limit = spoken(trust.drill_within.total_seconds())
        return f"No drill has succeeded within the last {limit}, so a person must approve."
    if changed_since_the_drill:
        return "The plan's recovery has changed since the last successful drill, so a person must approve."
    if now - observing_since < trust.observed_for:
        limit = spoken(trust.observed_for.total_seconds())
        return f"Coldsite has watched this plan for less than {limit}, so a person must approve."
    return None
