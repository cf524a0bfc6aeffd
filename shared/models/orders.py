"""The orders to activities: plain data that crosses the durable engine."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from shared.models.base import Strict
from shared.models.detection import Detection
from shared.models.hooks import Act, HookMoment
from shared.models.operations import Refusal
from shared.models.plan import RecoveryPlan, Replication, Traffic
from shared.models.resource_ids import take_apart
from shared.models.steps import Order, StepEnd


class Message(Strict):
    """``url_setting`` names the app setting that holds an Apprise URL; the URL itself never enters the history."""

    url_setting: str
    title: str
    text: str


class Delivery(Strict):
    """What became of a message: ``problem`` says why the address, an app setting, did not accept it."""

    address: str
    problem: str | None = None


class NotifyOrder(Order):
    message: Message


class Sources(Strict):
    """What a pass of evidence needs of the plan. ``queries`` are the KQL texts by file name."""

    detection: Detection
    traffic: Traffic
    recovery_group: str
    location: str
    queries: dict[str, str]

    @classmethod
    def of(cls, plan: RecoveryPlan) -> Sources:
        return cls(
            detection=plan.detection,
            traffic=plan.traffic,
            recovery_group=plan.recovery.resource_group,
            location=plan.recovery.location,
            queries=plan.query_texts,
        )


class EvidenceOrder(Order):
    sources: Sources


class SnapshotOrder(Order):
    """Snapshot one replica disk into the recovery group as part of the set ``set_id``."""

    group: str
    location: str
    name: str
    source: str
    set_id: str
    tags: dict[str, str]


class DiskOrder(Order):
    """Make a disk from a snapshot. One that is made on suspicion names its ``freezing``, and is refused once that is
    over.
    """

    group: str
    location: str
    name: str
    snapshot: str
    storage: str
    os: Literal["windows", "linux"] | None
    generation: str
    zone: str | None
    tags: dict[str, str]
    freezing: datetime | None = None


class MachineOrder(Order):
    """Make a machine from disks that hold an installed system."""

    group: str
    location: str
    name: str
    size: str
    zone: str | None
    os: Literal["windows", "linux"]
    license: str | None
    os_disk: str
    data_disks: dict[int, str]
    nic: str
    tags: dict[str, str]


POINT = "point-"
"""The prefix of the ids of the timer's sets; the time follows, so that they sort by age."""


class CleanUpOrder(Order):
    """Delete what the run built in the recovery group, or only one workload of it.

    ``keep_snapshots`` spares the run's recovery point; ``unfinished`` spares all that Azure has finished, and a machine
    whose start it only gave up waiting for, so that only failed or hanging resources are deleted; ``loose`` then
    includes disks that no machine uses: the next zone may be another. ``of_run`` names an ended run whose leftovers are
    to be deleted instead.
    """

    group: str
    keep_snapshots: bool = False
    workload: str | None = None
    unfinished: bool = False
    loose: bool = False
    of_run: str = ""


class CleanedUp(Strict):
    """The remaining resources. An empty ``left`` means that nothing is left; ``refused`` says by name why a resource
    cannot be deleted.
    """

    left: list[str]
    refused: dict[str, Refusal] = {}

    @property
    def reasons(self) -> list[str]:
        """Azure's refusals to delete, one sentence for each code: a single lock blocks everything below it."""
        by_code: dict[str, list[str]] = {}
        for name, refusal in sorted(self.refused.items()):
            by_code.setdefault(refusal.code, []).append(name)
        return [f"{', '.join(names)}: {self.refused[names[0]].sentence}" for names in by_code.values()]

    @property
    def still_there(self) -> list[str]:
        """What is left: with Azure's reason where it gave one, else by its id."""
        return [*self.reasons, *(resource for resource in self.left if take_apart(resource).name not in self.refused)]

    def as_step(self) -> StepEnd:
        if not self.left:
            return StepEnd()
        return StepEnd(status="running", error="; ".join(self.reasons) or None, detail={"left": self.left})


class Holder(Strict):
    """A machine of some run that holds an interface or a disk which another run needs."""

    machine: str
    run_id: str


class ActOrder(Order):
    """Have the business's own automation do something. ``text`` is the script and ``machine`` where it runs; neither is
    set for a hook.
    """

    act: Act
    action: Literal["stop", "resume", "sync"] | HookMoment
    text: str = ""
    machine: str = ""


ScriptName = Literal["status", "freeze", "thaw", "reverse"]


class ScriptOrder(Order):
    """Run one of the plan's scripts on the replication machine. ``freezing``: the beginning of the freezing that this
    starts or ends, which identifies it.

    ``not_after``: a later order is refused, since the replica is being thawed by then.
    """

    replication: Replication
    script: ScriptName
    freezing: datetime | None = None
    not_after: datetime | None = None


class TrafficOrder(Order):
    """``holds`` is the number of the run's questions when this was ordered: after another question the order is too
    late, and so it is after ``not_after``, when the last check of the sites is too old.
    """

    traffic: Traffic
    to: Literal["recovery", "primary"] = "recovery"
    """The site that customers are moved to."""
    holds: int = 0
    not_after: datetime | None = None
