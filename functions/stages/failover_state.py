"""What a failover knows while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.models.evidence import Round
from shared.models.operations import PointInTime
from shared.models.runs import RunInput


@dataclass
class FailoverState:
    """Everything that a failover learns: one object, which its stages share and which can be printed.

    Evidence: ``known`` is what had been seen when it was decided to fail over, ``first_down`` the beginning of the
    outage by it. ``serves`` and ``lived_until`` say what the newest look saw of the primary.

    Data: ``data_until`` is from when Azure's data are at least and ``home_commits`` the newest commits at the primary,
    as far as both were known when the run began. ``point`` is the recovery point in use, ``sets`` how many were begun.

    People: ``by_itself`` until a person has taken the decision. ``accepted_loss`` is whether a person has accepted the
    age of the data, or gave the order knowing it. ``unanswered`` is whether the plan's default was taken for an answer.

    Traces: ``freezing`` is when the replica's freezing began, ``fenced`` whether the source's writes were stopped.
    """

    known: Round
    by_itself: bool
    accepted_loss: bool
    requested_at: datetime
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
        """What is known before the first look."""
        return cls(
            known=Round(at=run.requested_at, evidence=[]),
            by_itself=run.trigger in ("alert", "watch"),
            accepted_loss=run.trigger == "operator",
            requested_at=run.requested_at,
        )

    @property
    def outage_began(self) -> datetime:
        return self.first_down or self.requested_at

    @property
    def holds_until(self) -> datetime | None:
        """From when the data are that customers would get, as far as is known by now."""
        return self.point.holds_until if self.point else self.data_until
