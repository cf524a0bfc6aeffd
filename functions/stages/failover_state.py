"""The state of a failover while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.models.evidence import Round
from shared.models.operations import PointInTime
from shared.models.runs import RunInput


@dataclass
class FailoverState:
    """The state of a failover: one object that its stages share and that can be printed.

    Evidence: ``known`` is the round on which the failover was decided, ``first_down`` the beginning of the outage by
    it. ``serves`` and ``lived_until`` are the primary by the newest round.

    Data: ``wanted`` is the recovery point that people asked for last. ``data_until`` is the moment Azure's data reach
    at least and ``home_commits`` the newest commits at the primary, both as known when the run began. ``point`` is the
    recovery point in use, ``sets`` how many were begun.

    People: ``by_itself`` until a person has decided. ``accepted_loss`` is whether a person has accepted the age of the
    data, or started the run knowing it. ``unanswered`` is whether the plan's default served as the answer.

    Traces: ``freezing`` is when the replica's freezing began, ``fenced`` whether the source's writes were stopped.
    """

    known: Round
    by_itself: bool
    accepted_loss: bool
    requested_at: datetime
    wanted: str
    first_down: datetime | None = None
    serves: bool = False
    lived_until: datetime | None = None
    data_until: datetime | None = None
    home_commits: dict[str, datetime] = field(default_factory=dict)
    point: PointInTime | None = None
    sets: int = 0
    approved_by: str | None = None
    unanswered: bool = False
    freezing: datetime | None = None
    fenced: bool = False

    @classmethod
    def of(cls, run: RunInput) -> FailoverState:
        """The state before the first round."""
        return cls(
            known=Round(at=run.requested_at, evidence=[]),
            by_itself=run.trigger in ("alert", "watch"),
            accepted_loss=run.trigger == "operator",
            requested_at=run.requested_at,
            wanted=run.recovery_point,
        )

    @property
    def outage_began(self) -> datetime:
        return self.first_down or self.requested_at

    @property
    def holds_until(self) -> datetime | None:
        """The moment that the recovered data reach, as far as known by now."""
        return self.point.holds_until if self.point else self.data_until
