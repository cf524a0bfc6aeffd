"""RecoveryRun: one execution of a plan, its phases and outcomes, and the table of allowed transitions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from shared.models.base import Strict
from shared.models.durations import spoken
from shared.models.evidence import Round
from shared.models.ids import Kind
from shared.models.plan import RecoveryPlan
from shared.models.steps import RunRef

Verb = Literal["approve", "reject", "proceed", "abort", "retry", "commit"]
"""The answers to a run. ``approve`` and ``reject`` answer whether to fail over, ``proceed`` answers a question just
before the cutover, ``retry`` says that a problem was fixed, ``commit`` ends a failback."""
Trigger = Literal["alert", "watch", "operator", "schedule"]
Mode = Literal["observe", "approve", "automatic", "planned", "unplanned"]


class Phase(StrEnum):
    """The phase of a run. ``needs_operator`` is not an end: the lock and what was built are kept.

    From ``checking_home`` to ``watching`` they are a failback's.
    """

    CONFIRMING = "confirming"
    WAITING_FOR_APPROVAL = "waiting_for_approval"
    RECOVERING = "recovering"
    VERIFYING = "verifying"
    CUTTING_OVER = "cutting_over"
    CHECKING_HOME = "checking_home"
    SYNCING = "syncing"
    READY = "ready"
    STOPPING_WRITES = "stopping_writes"
    FINAL_SYNC = "final_sync"
    PROVING_HOME = "proving_home"
    CUTTING_BACK = "cutting_back"
    WATCHING = "watching"
    NEEDS_OPERATOR = "needs_operator"
    CLEANING_UP = "cleaning_up"
    COMPLETED = "completed"


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    STOOD_DOWN = "stood_down"
    OBSERVED = "observed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    ABORTED = "aborted"
    PREEMPTED = "preempted"
    FAILED = "failed"


class CutoverState(StrEnum):
    """How far the cutover of a run has come: the one fact behind what may still be aborted, and what may be deleted. A
    failback moves customers the other way, from recovery to primary.

    ``begun``: the row says that traffic is being moved, and from here an abort is refused. ``ordered``: Traffic Manager
    was told to enable the recovery endpoint, so customers may be there. ``moved``: they are. ``stepped_back``: traffic
    is unchanged after all, and the run may be aborted again; an operator may have switched an endpoint meanwhile.
    """

    NOT_STARTED = "not_started"
    BEGUN = "begun"
    ORDERED = "ordered"
    MOVED = "moved"
    STEPPED_BACK = "stepped_back"

    @property
    def is_committed(self) -> bool:
        """Whether customers may be on the recovery site by order of this run: no abort, and nothing is deleted."""
        return self in (CutoverState.BEGUN, CutoverState.ORDERED, CutoverState.MOVED)


_OF_A_RECOVERY: dict[Phase, frozenset[Phase]] = {
    Phase.CONFIRMING: frozenset({Phase.WAITING_FOR_APPROVAL, Phase.RECOVERING, Phase.CLEANING_UP, Phase.COMPLETED}),
    Phase.WAITING_FOR_APPROVAL: frozenset({Phase.RECOVERING, Phase.CLEANING_UP, Phase.COMPLETED}),
    Phase.RECOVERING: frozenset(
        {Phase.WAITING_FOR_APPROVAL, Phase.VERIFYING, Phase.NEEDS_OPERATOR, Phase.CLEANING_UP, Phase.COMPLETED}
    ),
    Phase.VERIFYING: frozenset({Phase.CUTTING_OVER, Phase.NEEDS_OPERATOR, Phase.CLEANING_UP, Phase.COMPLETED}),
    Phase.CUTTING_OVER: frozenset({Phase.COMPLETED, Phase.NEEDS_OPERATOR, Phase.VERIFYING}),
    Phase.NEEDS_OPERATOR: frozenset({Phase.RECOVERING, Phase.VERIFYING, Phase.CUTTING_OVER, Phase.CLEANING_UP}),
    Phase.CLEANING_UP: frozenset({Phase.COMPLETED}),
    Phase.COMPLETED: frozenset(),
}
_OF_A_FAILBACK: dict[Phase, frozenset[Phase]] = {
    Phase.CHECKING_HOME: frozenset({Phase.SYNCING, Phase.NEEDS_OPERATOR, Phase.CLEANING_UP, Phase.COMPLETED}),
    Phase.SYNCING: frozenset({Phase.READY, Phase.NEEDS_OPERATOR, Phase.CLEANING_UP}),
    Phase.READY: frozenset(
        {
            Phase.WAITING_FOR_APPROVAL,
            Phase.STOPPING_WRITES,
            Phase.NEEDS_OPERATOR,
            Phase.CLEANING_UP,
            Phase.COMPLETED,
        }
    ),
    Phase.WAITING_FOR_APPROVAL: frozenset({Phase.READY, Phase.CLEANING_UP, Phase.COMPLETED}),
    Phase.STOPPING_WRITES: frozenset({Phase.FINAL_SYNC, Phase.READY, Phase.NEEDS_OPERATOR, Phase.CLEANING_UP}),
    Phase.FINAL_SYNC: frozenset({Phase.PROVING_HOME, Phase.READY, Phase.NEEDS_OPERATOR, Phase.CLEANING_UP}),
    Phase.PROVING_HOME: frozenset({Phase.CUTTING_BACK, Phase.READY, Phase.NEEDS_OPERATOR, Phase.CLEANING_UP}),
    Phase.CUTTING_BACK: frozenset({Phase.WATCHING, Phase.NEEDS_OPERATOR, Phase.PROVING_HOME, Phase.COMPLETED}),
    Phase.WATCHING: frozenset({Phase.COMPLETED}),
    Phase.NEEDS_OPERATOR: frozenset(
        {Phase.CHECKING_HOME, Phase.SYNCING, Phase.READY, Phase.CUTTING_BACK, Phase.CLEANING_UP}
    ),
    Phase.CLEANING_UP: frozenset({Phase.COMPLETED}),
    Phase.COMPLETED: frozenset(),
}
TRANSITIONS: dict[Kind, dict[Phase, frozenset[Phase]]] = {
    "failover": _OF_A_RECOVERY,
    "drill": _OF_A_RECOVERY,
    "failback": _OF_A_FAILBACK,
}
"""Allowed transitions by kind. The question about data that are too old comes before anything is built of them. A drill
that could not be started goes from its first phase to completed; a cutover without effect steps back; a rebuild in
Azure moves no customers, and ends once the site is verified."""
MOVES_CUSTOMERS = frozenset({Phase.CUTTING_OVER, Phase.CUTTING_BACK})
"""The phases in which a run switches the endpoints; a run enters them by a record that no abort has come before."""
FORWARD = frozenset({*MOVES_CUSTOMERS, Phase.WATCHING, Phase.NEEDS_OPERATOR, Phase.COMPLETED})
"""Once the cutover has begun these are the only phases left, unless it had no effect and steps back."""
FIRST_PHASE: dict[Kind, Phase] = {
    "failover": Phase.CONFIRMING,
    "drill": Phase.RECOVERING,
    "failback": Phase.CHECKING_HOME,
}


AFTER_THE_END = frozenset({"document", "sha256", "hindsight", "retired_at"})
"""The fields of a run that are written after its end, and so are not in its document."""
STEPS_AFTER_THE_END = frozenset({"seal_run", "release_run", "notify", "thaw_replication", "claim_run"})
"""The steps that may be carried out after a run's end, and so are not in its document."""


def may_follow(kind: Kind, before: Phase, after: Phase, cutover: CutoverState = CutoverState.NOT_STARTED) -> bool:
    """Whether a run in ``before`` may go to ``after``; staying is always allowed, so that writes may repeat."""
    if cutover.is_committed and after not in FORWARD:
        return False
    return before == after or after in TRANSITIONS[kind].get(before, ())


class Person(Strict):
    """A person who acts. ``id`` distinguishes people of one name; a holder of a function key has none."""

    name: str
    id: str | None = None

    @property
    def known_as(self) -> str:
        """For the record: a name may be reassigned, an id is not."""
        return f"{self.name} ({self.id})" if self.id else self.name


class Serving(Strict):
    """The newest failover that built what serves customers, its machines by workload, and the two moments between which
    home may have taken changes that no site in service has had since: the newest recovered commit, and the cutover.
    ``built_by`` names the run of each workload, which may be an earlier one where some were built again.
    """

    run_id: str
    built_by: dict[str, str] = {}
    machines: dict[str, str] = {}
    recovered_until: datetime | None = None
    moved_at: datetime | None = None


class Replacement(Strict):
    """What a failover builds again while customers are served from Azure: ``workloads``, which replace those of
    ``machines``; ``of_run`` is the newest run that built any of them. ``named``: a person named the workloads; else
    they were failing, and are looked at again before their machines are deleted.
    """

    workloads: list[str]
    named: bool
    machines: dict[str, str]
    of_run: str


class RunInput(Strict):
    """An orchestration's input: everything that it will ever need."""

    run: RunRef
    kind: Kind
    mode: Mode
    trigger: Trigger
    reason: str
    person: str | None = None
    person_id: str | None = None
    requested_at: datetime
    recovery_point: str = "latest"
    acknowledge_primary_healthy: bool = False
    evidence: Round | None = None
    looks: list[Round] = []
    """The looks for which the watch started the run; the confirmation counts from the first."""
    preempted: bool = False
    """Whether it took the plan from a drill."""
    rehearse: bool = False
    """Whether a failback ends once home is ready."""
    not_before: datetime | None = None
    """When a failback may stop Azure's writes at the earliest."""
    serving: Serving | None = None
    """For a failback: the failover that customers are served by."""
    replacement: Replacement | None = None
    plan: RecoveryPlan


class Hindsight(Strict):
    """Whether an observed failover would have been right, judged later. Seconds.

    ``out_for`` is how long the primary was out after the decision, as far as seen; ``back`` whether it was back.
    """

    out_for: float
    back: bool
    failover_takes: float

    @property
    def right(self) -> bool:
        """A failover is right when the primary stays out for longer than it takes."""
        return self.out_for > self.failover_takes

    def sentence(self, time_factor: float = 1.0) -> str:
        """A sentence; ``time_factor`` multiplies every duration."""
        word = "would have been right" if self.right else "would have been a mistake"
        when = "back" if self.back else "still not back"
        out, takes = spoken(self.out_for * time_factor), spoken(self.failover_takes * time_factor)
        return f"A failover {word}: the primary site was {when} {out} after the decision, and a failover takes {takes}."


class RecoveryRun(Strict):
    """A run in the history. ``outcome`` is None while it is unfinished; durations are seconds."""

    run_id: str
    plan: str
    plan_hash: str
    recovery_hash: str = ""
    kind: Kind
    mode: Mode
    trigger: Trigger
    reason: str
    person: str | None = None
    person_id: str | None = None
    approved_by: str | None = None
    four_eyes: bool = False
    """Whether a person other than the starter must approve: as the plan was when the run began."""
    phase: Phase
    recorded: int = 0
    """The number of the newest change of this row that the run itself has made."""
    cutover: CutoverState = CutoverState.NOT_STARTED
    abort_asked_by: str | None = None
    """The caller who ended the run before its cutover began."""
    outcome: Outcome | None = None
    verdict: str | None = None
    verdict_detail: dict[str, Any] | None = None
    last_look: dict[str, Any] | None = None
    """The evidence just before the cutover."""
    waiting_for: str | None = None
    answers: list[Verb] = []
    """The valid answers to ``waiting_for``."""
    waiting_since: datetime | None = None
    """Since when it waits for an answer that is urgent: the same question, asked again, keeps its time."""
    acknowledged_by: str | None = None
    """The caller who said to be on it, and when: another question must be acknowledged again."""
    acknowledged_at: datetime | None = None
    waiting_until: datetime | None = None
    """When the plan's default applies; None where only a person may answer."""
    holds: int = 0
    builds: int = 0
    """How often the rebuild was begun: each attempt has child orchestrations of its own."""
    ended_because: str | None = None
    started_at: datetime
    ended_at: datetime | None = None
    recovery_time_actual: float | None = None
    """Until customers are served from Azure: from the beginning of the outage, or from a person's order where that was
    earlier; of a planned failover, a rebuild and a drill from the order."""
    recovery_point_actual: float | None = None
    recovery_point: dict[str, Any] | None = None
    recovered_until: datetime | None = None
    """The newest commit that was recovered."""
    home: dict[str, Any] | None = None
    """A failback's newest look at both sites: ``HomeLook`` without what is not shown."""
    replaces: str | None = None
    """The failover some of whose machines this one built again in Azure, and which of its own it built."""
    builds_again: list[str] = []
    may_serve: bool = False
    """Whether customers may be on what it built in Azure although it moves no traffic: it is never a leftover then."""
    retired_at: datetime | None = None
    """When what this failover built was given up, some time after a failback."""
    document: int | None = None
    """The number of the run's document in the plan's history, and its hash."""
    sha256: str | None = None
    hindsight: Hindsight | None = None
    """Judged after the end, so it is not part of the document."""

    def takes(self, changes: dict[str, Any], *, forced: bool = False, number: int | None = None) -> dict[str, Any]:
        """Those of the changes that the row accepts, with their consequences: the row decides the order.

        The run numbers its own changes; a redelivery after a later change is dropped. A phase that may not follow the
        current one is dropped too, unless the end of the run is ``forced``. Either the cutover begins or an abort is
        accepted, never both. An ended run changes only in what is known after the end.
        """
        if self.outcome is not None:
            return {name: value for name, value in changes.items() if name in AFTER_THE_END}
        if number is not None and number < self.recorded:
            return {}
        wanted = dict(changes) if number is None else changes | {"recorded": number}
        if "phase" in wanted and not forced:
            phase = Phase(wanted["phase"])
            too_late = phase in MOVES_CUSTOMERS and self.abort_asked_by and not self.cutover.is_committed
            if too_late or not may_follow(
                self.kind, self.phase, phase, CutoverState(wanted.get("cutover", self.cutover))
            ):
                del wanted["phase"]
        if wanted.get("phase") in MOVES_CUSTOMERS and not self.cutover.is_committed:
            wanted["cutover"] = CutoverState.BEGUN
        if self.cutover.is_committed:
            wanted.pop("abort_asked_by", None)
        return wanted

    @property
    def is_acknowledged(self) -> bool:
        """Whether a person has said to be on the question that waits."""
        return bool(self.acknowledged_at and self.waiting_since and self.acknowledged_at >= self.waiting_since)

    @property
    def is_leftover(self) -> bool:
        """Whether the run's resources may be deleted. Once the cutover has begun they may serve customers, until they
        are retired after a failback.
        """
        return self.outcome is not None and (self.retired_at is not None or not self.holds_customers)

    @property
    def holds_customers(self) -> bool:
        """Whether customers may be on what it built."""
        return self.cutover.is_committed or self.may_serve

    @property
    def keeps_its_point(self) -> bool:
        """Whether the recovery point stays although the rest is deleted: it may be the last one."""
        return self.kind == "failover" and self.outcome is Outcome.FAILED
