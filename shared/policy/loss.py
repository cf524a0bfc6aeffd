"""The age of the data that customers would get, and whether it needs approval.

Source of the habit: orchestrator's ``FailMasterPromotionOnLagMinutes`` and Patroni's ``maximum_lag_on_failover``, which
refuse to promote data that are too old.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.models.durations import spoken, spoken_moment


def loss_question(
    data_until: datetime | None, outage_at: datetime, limit: timedelta, *, relative: str = "before the outage"
) -> str | None:
    """The question about data of this age before the cutover, as a statement; None when there is none.

    ``data_until`` is the newest moment whose changes the data are known to hold: the newest of replication's report and
    of the last time it was healthy with an empty queue; for an older recovery point, of its own time. None where
    unknown, which is a reason to ask, too. Without an outage, ``outage_at`` is the present and ``relative`` is
    "ago".
    """
    if data_until is None:
        return "The age of Azure's data is unknown: replication has never been seen healthy."
    age = outage_at - data_until
    if age <= limit:
        return None
    return (
        f"Azure's data are from {spoken_moment(data_until)}, {spoken(age.total_seconds())} {relative}. "
        f"Everything since then would be lost; the plan's loss_limit is {spoken(limit.total_seconds())}."
    )


def commit_question(
    recovered: dict[str, datetime], home: dict[str, datetime], outage_at: datetime, limit: timedelta
) -> str | None:
    """The same, measured on the recovered data: each database's newest commit against the newest seen at the primary.
    The sentence names the database with the largest loss.

    A quiet shop has no commits for hours and loses nothing, so an old commit alone is no reason to ask.
    """
    lost = {name: min(home[name], outage_at) - recovered[name] for name in recovered.keys() & home.keys()}
    worst = max(lost, key=lambda name: lost[name], default=None)
    if worst is None or lost[worst] <= limit:
        return None
    return (
        f"The newest change in Azure's database {worst} is from {spoken_moment(recovered[worst])}, and the primary had "
        f"one from {spoken_moment(home[worst])}. At least {spoken(lost[worst].total_seconds())} of changes would be "
        f"lost; the plan's loss_limit is {spoken(limit.total_seconds())}."
    )
