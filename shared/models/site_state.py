"""SiteState: what is known of a plan's site between runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.models.base import Strict
from shared.models.ids import Kind
from shared.models.looks import ReplicaLook, SiteLook
from shared.models.routing import ActiveSite


class SiteState(Strict):
    """The state of a plan's site between runs.

    Checks: ``not_before`` postpones the next one after a run that ended without a failover at ``cooled_at``, and
    ``known_bad`` are the checks that failed then: another one is news. ``last_look`` is the newest evidence;
    ``down_since`` is the beginning of the outage, across runs: the first check that said so since the primary was last
    seen serving. ``unseen_since`` is since when a service has been unreadable.

    Data: ``replica`` is the newest state of the replica, ``replica_good_at`` when it was last seen healthy, connected
    and with an empty queue, ``home_commits`` the newest commit that was seen in each of the primary's databases.
    ``last_set_at`` is when the timer's newest recovery point was begun, ``last_point_at`` when one was taken,
    ``point_trouble`` why the newest one was not.

    Traces of runs: ``fenced_by`` stopped the source's writes and has not resumed them, ``frozen_by`` froze the replica
    and has not thawed it; ``not_cleared`` are the leftovers of ended runs, by run, as of the last cleanup.
    ``writes_stopped_by`` is the failback that stopped the writes in Azure and has not resumed them; ``retire`` names
    the failover whose machines a failback has replaced, and when they may be deleted. ``purged_at`` is when old
    orchestrations were last purged.

    ``short_failures`` counts looks of the watch that failed once and not again, ``short_failure_at`` is the newest.

    ``warnings`` are sentences by subject; ``untold`` are those that no address has accepted yet.
    """

    plan: str
    created_at: datetime
    active_site: ActiveSite = "primary"
    latched_at: datetime | None = None
    azure_is_home: bool = False
    """Settled for good: the old primary is not guarded any more."""
    settle_proposal: dict[str, Any] = {}
    active_run: str | None = None
    active_kind: Kind | None = None
    locked_at: datetime | None = None
    epoch: int = 0
    not_before: datetime | None = None
    cooled_at: datetime | None = None
    known_bad: list[str] = []
    last_look: SiteLook | None = None
    down_since: datetime | None = None
    replica: ReplicaLook | None = None
    replica_good_at: datetime | None = None
    home_commits: dict[str, datetime] = {}
    fenced_by: str | None = None
    writes_stopped_by: str | None = None
    failed_back_at: datetime | None = None
    """When customers came home last: automatic acts as approve until a drill has succeeded since."""
    retire: dict[str, str] = {}
    durations: dict[str, list[float]] = {}
    """How long the steps of earlier runs took (``policy/learned.py``)."""
    readiness: dict[str, Any] = {}
    """The newest findings and when they were made."""
    readiness_told: list[str] = []
    """The findings that people were told of, by key."""
    paused_until: datetime | None = None
    pause_reason: str | None = None
    frozen_by: str | None = None
    frozen_at: datetime | None = None
    """When this freezing began. It identifies the freezing: the engine may redeliver the order of an earlier one."""
    not_cleared: dict[str, list[str]] = {}
    thawed_through: datetime | None = None
    """Freezings that began then or earlier are over, and must not be carried out any more."""
    last_set_at: datetime | None = None
    point_trouble: str | None = None
    purged_at: datetime | None = None
    short_failures: int = 0
    short_failure_at: datetime | None = None
    last_point_at: datetime | None = None
    last_point_holds: datetime | None = None
    """The moment that the newest recovery point's data reach; None where unknown."""
    delivered: dict[str, datetime] = {}
    """When each address last accepted a message, to the day."""
    warnings: dict[str, str] = {}
    untold: list[str] = []
    escalated: list[str] = []
    """The addresses of the plan's ``escalation`` that were told of a question, as run/time/address."""
    told_week: str | None = None
    """The newest ISO week whose lines were sent."""
    unseen_since: dict[str, str] = {}

    resolvers: dict[str, str] = {}
    """Since when each resolver has seen the newest move, empty while it answers the old site, ``silent`` while it does
    not answer; and ``moved_at``, that move."""

    @property
    def moved_at(self) -> datetime | None:
        """When customers were moved last; None where they never were."""
        return self.latched_at if self.active_site == "recovery" else self.failed_back_at

    @property
    def latched(self) -> bool:
        """Whether the primary endpoint must stay disabled: customers are served from the recovery site."""
        return self.active_site == "recovery" and not self.azure_is_home

    @property
    def waits_for_home(self) -> bool:
        """Whether a failback is at work that has not stopped anything yet: customers are in Azure as on any day."""
        return self.active_kind == "failback" and self.writes_stopped_by is None

    @property
    def protected_since_home(self) -> bool:
        """Whether a recovery point holds data from after the last failback; True where there was none."""
        since = self.failed_back_at
        return since is None or (self.last_point_holds is not None and self.last_point_holds > since)

    @property
    def data_until(self) -> datetime | None:
        """The moment that the replica's data reach at least; None when unknown."""
        reported = self.replica.replicated_until if self.replica else None
        return max(filter(None, (reported, self.replica_good_at)), default=None)
