"""What the HTTP API accepts and returns, as models that refuse unknown fields."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, StrictBool

from shared.models.base import Strict
from shared.models.durations import Duration
from shared.models.evidence import Evidence
from shared.models.ids import Kind
from shared.models.plan_fields import WorkloadName
from shared.models.routing import ActiveSite
from shared.models.runs import Phase, RecoveryRun, Trigger, Verb
from shared.models.steps import Step


def _one_line(text: str) -> str:
    """Free text is shown in terminals, where an escape sequence could blank the screen or forge a line."""
    if not text.isprintable() or (text and not text.strip()):
        raise ValueError("is not a single line of text")
    return text.strip()


Reason = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_one_line)]


PointName = Annotated[str, Field(pattern=r"^(latest|latest_good|before:.+|[A-Za-z0-9-]{1,80})$")]


class FailoverRequest(Strict):
    """An unplanned failover of a primary that is serving must be acknowledged. While customers are served from Azure,
    ``workloads`` (by default those that fail their probes) are built again there, from a recovery point.
    """

    mode: Literal["planned", "unplanned"] = "unplanned"
    acknowledge_primary_healthy: StrictBool = False
    recovery_point: PointName = "latest"
    workloads: Annotated[list[WorkloadName], Field(max_length=200)] = []
    reason: Reason


class FailbackRequest(Strict):
    """``rehearse`` ends once home is ready; ``at`` is when Azure's writes may be stopped at the earliest."""

    rehearse: StrictBool = False
    at: AwareDatetime | None = None
    reason: Reason


class DrillRequest(Strict):
    reason: Reason = "A drill"


class SettleRequest(Strict):
    """``for_good``: Azure is the home now."""

    served_from: Literal["primary", "recovery"]
    for_good: StrictBool = False
    reason: Reason


class PauseRequest(Strict):
    """``for`` is a duration such as 2h, at most 30 days; 0s ends a pause."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)

    duration: Duration = Field(alias="for")
    reason: Reason


class NoteRequest(Strict):
    reason: Annotated[str, Field(max_length=500), AfterValidator(_one_line)] = ""
    question: int | None = None
    """The number of the question that is answered, as `holds` of the run says; another one is refused."""
    recovery_point: PointName | None = None
    """With `retry` of a failover: build everything again from this point; what was built is deleted first."""


class RunView(RecoveryRun):
    """A run with all of its steps."""

    steps: list[Step]


class NewestLook(Strict):
    """The newest evidence on the primary, and since when it has said so; ``sentence`` names every check."""

    at: datetime
    says: Literal["down", "up", "unclear", "blind"]
    since: datetime
    sentence: str
    evidence: list[Evidence]


class ReplicaView(Strict):
    """The replica's state. ``data_until`` is the moment its data reach at least; None where unknown."""

    looked_at: datetime | None
    state: str
    connected: bool | None
    queue_bytes: int | None
    problem: str | None
    data_until: datetime | None
    loss_limit: float
    """Seconds of age, at the start of an outage, up to which automatic needs no approval."""


class WaitingRun(Strict):
    """A run in progress: what it waits for, until when, and the valid answers."""

    run_id: str
    kind: Kind
    trigger: Trigger
    phase: Phase
    waiting_for: str | None
    answers: list[Verb]
    waiting_until: datetime | None
    holds: int = 0
    """The number of the question."""
    builds_again: list[str] = []
    """What a failover builds again while customers are served from Azure."""
    waiting_since: datetime | None = None
    acknowledged_by: str | None = None
    """The caller who is on it; None where no person has acknowledged this question."""
    acknowledged_at: datetime | None = None


class ResolverView(Strict):
    """A resolver that customers use, and since when it has seen the newest move; None while it answers the old site, or
    (``silent``) does not answer.
    """

    name: str
    seen_at: datetime | None
    silent: bool = False


class PlanView(Strict):
    """The status of a plan. ``active_site`` is where Traffic Manager routes to, not whether that site serves.

    The last three are present only when a single plan is requested.
    """

    name: str
    title: str
    mode: Literal["observe", "approve", "automatic"]
    active_site: ActiveSite
    primary_latched: bool
    azure_is_home: bool = False
    """Settled for good: nothing guards the old primary, and no failover or drill starts."""
    active_run: str | None
    run: WaitingRun | None
    newest_look: NewestLook | None
    replica: ReplicaView
    last_good_drill: datetime | None
    open_alerts: int
    last_point_at: datetime | None = None
    """When the newest recovery point of the active site was taken by the timer."""
    protected: bool = False
    """Whether that was within twice the plan's rhythm."""
    retiring: str | None = None
    """The failover whose machines a failback has replaced; they are deleted once home is protected again."""
    warnings: list[str]
    moved_at: datetime | None = None
    """When customers were moved last; Traffic Manager was switched then."""
    resolvers: list[ResolverView] = []
    down_since: datetime | None = None
    """The beginning of the outage; None while the primary serves, as far as seen."""
    next_look_not_before: datetime | None
    """The watch starts nothing before this, unless another check turns bad."""
    short_failures: int = 0
    """Looks of the watch that failed once and not again; the newest was at ``short_failure_at``."""
    short_failure_at: datetime | None = None
    paused_until: datetime | None
    pause_reason: str | None
    hash: str | None = None
    plan: dict[str, Any] | None = None
    events: list[dict[str, Any]] | None = None


class SelfChecked(Strict):
    """An orchestration completed in so many seconds; ``problems`` are the app's own, in words."""

    seconds: float
    problems: list[str]


class Checked(Strict):
    """One pass of evidence: what each signal of the plan sees now, and what a blind one needs."""

    plan: str
    at: datetime
    says: Literal["down", "up", "unclear", "blind"]
    sentence: str
    evidence: list[Evidence]


class PointView(Strict):
    """A recovery point that a failover can use. ``data_until``: the moment its data reach at least; None if unknown."""

    id: str
    taken_at: datetime
    data_until: datetime | None
    consistency: Literal["application", "crash"]
