"""Maintenance: during a pause or a window of the plan, automatic failover is off. Coldsite still observes."""

from __future__ import annotations

from datetime import datetime

from shared.models.base import Strict
from shared.models.durations import spoken_moment
from shared.models.plan import MaintenanceWindow


class Maintenance(Strict):
    """``because`` is a sentence for the operator; ``until`` is when the watch resumes."""

    until: datetime
    because: str


def maintenance(
    windows: list[MaintenanceWindow], paused_until: datetime | None, pause_reason: str | None, now: datetime
) -> Maintenance | None:
    """The open maintenance that ends last; None when there is none.

    Consequence: an automatic run ends as observed, and the next check is due at ``until``.
    """
    open_now = [
        Maintenance(until=w.end, because=f"A maintenance window is open until {w.end:%Y-%m-%d %H:%M %Z}: {w.reason}.")
        for w in windows
        if w.start <= now < w.end
    ]
    if paused_until and now < paused_until:
        because = f"Automatic failover is paused until {spoken_moment(paused_until)}: {pause_reason}."
        open_now.append(Maintenance(until=paused_until, because=because))
    return max(open_now, key=lambda maintenance: maintenance.until, default=None)
