"""Azure's compute as Coldsite uses it: snapshots, disks, machines, Run Command, and long-running operations.

Only the recovery group may be written. Any change of the replica fails the test at once.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from shared.models import ids
from shared.models.operations import Operation, OperationState, PointInTime, Refusal, Refused, Started
from shared.models.orders import CleanedUp, CleanUpOrder, DiskOrder, MachineOrder, ScriptOrder, SnapshotOrder
from shared.models.resource_ids import compute_id, take_apart
from shared.policy.azure_errors import classify
from tests.model.site import Replica

TAKES: dict[str, timedelta] = {
    "snapshots": timedelta(seconds=4),
    "disks": timedelta(seconds=5),
    "virtualMachines": timedelta(seconds=50),
    "delete": timedelta(seconds=30),
    "script": timedelta(seconds=20),
}
BOOT = timedelta(seconds=40)

Trouble = Literal["capacity", "quota", "throttled", "conflict", "permanent", "fails", "hangs"]
"""Faults of Azure: an immediate refusal, an operation that fails later, or one that never ends."""

REFUSALS: dict[str, Refusal] = {
    "capacity": classify(409, "AllocationFailed", "no capacity"),
    "quota": classify(409, "OperationNotAllowed", "the quota is used up"),
    "throttled": classify(429, "TooManyRequests", "too many", retry_after=40),
    "conflict": classify(409, "NicReservedForAnotherVm", "later"),
    "permanent": classify(403, "RequestDisallowedByPolicy", "never"),
}
OCCUPIED = classify(400, "NicInUse", "another machine has it")
ABSENT = classify(404, "ResourceNotFound", "it is not there")


@dataclass(frozen=True)
class Content:
    """What a snapshot or a disk holds. Disks of one machine must be of one set."""

    set_id: str
    damaged: bool = False
    until: datetime | None = field(default=None, compare=False)
    """The time of the data."""


@dataclass(eq=False)
class Resource:
    """``content`` of snapshots and disks; ``uses`` (disks) and ``nic`` of machines; ``up_at`` is when it has booted."""

    id: str
    tags: dict[str, str]
    content: Content | None = None
    state: Literal["Creating", "Succeeded", "Failed", "Deleting"] = "Creating"
    uses: list[str] = field(default_factory=list)
    nic: str = ""
    refusal: Refusal | None = None
    up_at: datetime | None = None

    @property
    def name(self) -> str:
        return take_apart(self.id).name

    @property
    def kind(self) -> str:
        return take_apart(self.id).kind


@dataclass(eq=False)
class Job:
    """A long-running operation."""

    resource: str
    state: OperationState = field(default_factory=lambda: OperationState(state="running"))


class Azure:
    """The recovery group, and the replication machine that runs scripts."""

    def __init__(
        self,
        group: str,
        disks: set[str],
        replica: Replica,
        clock: Callable[[], datetime],
        at: Callable[[datetime, Callable[[], None]], None],
    ) -> None:
        self.resources: dict[str, Resource] = {}
        self.replica = replica
        self.broken: set[str] = set()
        """Workloads whose machines do not become healthy."""
        self.locked = False
        """The recovery group is locked: nothing there can be deleted."""
        self.scripts_fail = False
        self._group = group
        self._replica_disks = disks
        self._clock = clock
        self._at = at
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)
        self._troubles: dict[str, deque[Trouble]] = {}

    def trouble(self, activity: str, kind: Trouble, times: int = 1) -> None:
        self._troubles.setdefault(activity, deque()).extend([kind] * times)

    def calm(self) -> None:
        self._troubles.clear()
        self.broken.clear()
        self.locked = self.scripts_fail = False

    def refusal(self, activity: str) -> Refusal | None:
        """The refusal that was prepared for this order, if any."""
        return REFUSALS.get(self._next(activity) or "")

    # Orders

    def start_snapshot(self, order: SnapshotOrder) -> Started | Refused:
        resource = self._id("snapshots", order.group, order.name)
        if refusal := self._already_there(resource):
            return refusal
        assert order.source in self._replica_disks, f"{order.source} is no disk of the replica"
        assert order.tags["coldsite-consistency"] == "crash" or self.replica.frozen, (
            f"{order.name} is called application-consistent, but the replica is not frozen"
        )
        damaged = self.replica.state != "good"
        content = Content(f"{order.set_id}@{self.replica.era}", damaged, self.replica.holds_until)
        return self._create("take_recovery_point", Resource(resource, dict(order.tags), content))

    def start_disk(self, order: DiskOrder) -> Started | Refused:
        resource = self._id("disks", order.group, order.name)
        source, found = self.resources.get(order.snapshot), self.resources.get(resource)
        if found and source and found.content != source.content:
            if order.freezing is None:
                self.delete(found)
            return Refused(refusal=REFUSALS["permanent" if order.freezing else "conflict"])
        if refusal := self._already_there(resource):
            return refusal
        if source is None or source.state != "Succeeded":
            return Refused(refusal=ABSENT)
        return self._create("create_disk", Resource(resource, dict(order.tags), source.content))

    def start_machine(self, order: MachineOrder) -> Started | Refused:
        resource = self._id("virtualMachines", order.group, order.name)
        found = self.resources.get(resource)
        if found and found.state != "Failed":
            return Started(operation=Operation(resource=resource))
        disks = [order.os_disk, *order.data_disks.values()]
        assert not self._replica_disks & set(disks), "a disk of the replica would be attached"
        others = [m for m in self._machines() if m.id != resource]
        missing = any(d not in self.resources or self.resources[d].state != "Succeeded" for d in disks)
        if missing:
            return Refused(refusal=ABSENT)
        if any(order.nic == m.nic or set(disks) & set(m.uses) for m in others):
            return Refused(refusal=OCCUPIED)
        contents = {self.resources[d].content for d in disks}
        assert len(contents) == 1, f"{order.name} would get disks of different recovery points: {contents}"
        made = Resource(resource, dict(order.tags), contents.pop(), uses=disks, nic=order.nic)
        return self._create("create_machine", made)

    def start_script(self, order: ScriptOrder) -> Started | Refused:
        """One command runs at a time."""
        machine = order.replication.machine
        if any(job.resource == machine and job.state.state == "running" for job in self._jobs.values()):
            return Refused(refusal=REFUSALS["conflict"])
        trouble = self._next(f"{order.script}_replication")
        if trouble in REFUSALS:
            return Refused(refusal=REFUSALS[trouble])

        def ran() -> OperationState:
            if trouble == "fails" or self.scripts_fail:
                return OperationState(state="failed", refusal=REFUSALS["permanent"])
            return OperationState(state="succeeded", output=self.replica.run(order.script))

        return self._begin(machine, "script", ran, hangs=False)

    def clean_up(self, order: CleanUpOrder) -> CleanedUp:
        """As ``shared.azure.cleanup``: deletes everything that can be deleted now, and names what remains."""
        assert order.group == self._group, f"{order.group} is not the recovery group"
        kinds = {"virtualMachines", "disks"} | (set() if order.keep_snapshots else {"snapshots"})
        mine = [r for r in self.owned(order.of_run or order.run.run_id) if r.kind in kinds]
        mine = [r for r in mine if order.workload in (None, r.tags.get(ids.TAG_WORKLOAD))]
        mine = [r for r in mine if not (order.unfinished and r.state == "Succeeded")]
        for resource in mine:
            attached = any(resource.id in machine.uses for machine in self._machines())
            if not attached:
                self.delete(resource)
        return CleanedUp(left=sorted(resource.id for resource in mine))

    def delete(self, resource: Resource) -> None:
        if resource.state != "Deleting" and not self.locked:
            resource.state = "Deleting"
            self._begin(resource.id, "delete", lambda: self._gone(resource), hangs=False)

    def look(self, operation: Operation) -> OperationState:
        if operation.url and operation.url in self._jobs:
            return self._jobs[operation.url].state
        found = self.resources.get(operation.resource)
        if found is None:
            return OperationState(state="gone")
        if found.state == "Succeeded":
            return OperationState(state="succeeded")
        if found.state == "Failed":
            return OperationState(state="failed", refusal=found.refusal)
        return OperationState(state="running")

    # What is there

    def owned(self, run_id: str) -> list[Resource]:
        """Resources with a run's tag and a name derived from the run."""
        run = ids.parse_run_id(run_id)
        short = run.short if run else run_id
        return [r for r in self.resources.values() if r.tags.get(ids.TAG_RUN) == run_id and short in r.name]

    def holder_of(self, run_id: str, nic: str, disks: list[str]) -> Resource | None:
        """Another run's machine that uses the interface or one of the disks."""
        others = [m for m in self._machines() if m.tags.get(ids.TAG_RUN) not in (None, run_id)]
        return next((m for m in others if m.nic == nic or set(disks) & set(m.uses)), None)

    def points(self, plan: str) -> list[PointInTime]:
        """Every complete set, newest first."""
        sets: dict[str, list[Resource]] = {}
        for resource in self.resources.values():
            if (
                resource.kind == "snapshots"
                and resource.state == "Succeeded"
                and resource.tags.get(ids.TAG_PLAN) == plan
            ):
                sets.setdefault(resource.tags[ids.TAG_SET], []).append(resource)
        whole = [
            PointInTime.model_validate(
                {
                    "set_id": key,
                    "run_id": found[0].tags.get(ids.TAG_RUN, ""),
                    "taken_at": found[0].tags[ids.TAG_TAKEN_AT],
                    "consistency": found[0].tags["coldsite-consistency"],
                    "data_until": found[0].tags.get(ids.TAG_DATA_UNTIL),
                    "snapshots": {f"{r.tags[ids.TAG_WORKLOAD]}/{r.tags['coldsite-disk']}": r.id for r in found},
                }
            )
            for key, found in sets.items()
            if len(found) == int(found[0].tags["coldsite-set-size"])
        ]
        return sorted(whole, key=lambda point: point.taken_at, reverse=True)

    def machine(self, name: str) -> Resource | None:
        return self.resources.get(compute_id(self._group, "virtualMachines", name))

    def machine_on(self, nic: str) -> Resource | None:
        return next((m for m in self._machines() if m.nic == nic and m.state == "Succeeded"), None)

    def is_up(self, machine: Resource) -> bool:
        """Booted, and with data that can be read."""
        workload = machine.tags[ids.TAG_WORKLOAD]
        booted = machine.up_at is not None and machine.up_at <= self._clock()
        return booted and workload not in self.broken and not (machine.content and machine.content.damaged)

    def _machines(self) -> list[Resource]:
        return [r for r in self.resources.values() if r.kind == "virtualMachines"]

    # Progress of operations

    def _id(self, kind: str, group: str, name: str) -> str:
        assert group == self._group, f"{name} would be made in {group}, which is not the recovery group"
        return compute_id(group, kind, name)

    def _already_there(self, resource: str) -> Started | Refused | None:
        found = self.resources.get(resource)
        if found is None:
            return None
        if found.state == "Failed":
            self.delete(found)
            return Refused(refusal=Refusal(kind="conflict", code="Failed", message="It failed before."))
        return Started(operation=Operation(resource=resource))

    def _next(self, activity: str) -> Trouble | None:
        waiting = self._troubles.get(activity)
        return waiting.popleft() if waiting else None

    def _create(self, activity: str, made: Resource) -> Started | Refused:
        trouble = self._next(activity)
        if trouble in REFUSALS and trouble != "capacity":
            return Refused(refusal=REFUSALS[trouble])
        self.resources[made.id] = made

        def created() -> OperationState:
            if self.resources.get(made.id) is not made or made.state != "Creating":
                gone = Refusal(kind="conflict", code="OperationPreempted", message="it was deleted meanwhile")
                return OperationState(state="failed", refusal=gone)
            if trouble:
                made.state, made.refusal = "Failed", REFUSALS.get(trouble, REFUSALS["permanent"])
                return OperationState(state="failed", refusal=made.refusal)
            made.state, made.up_at = "Succeeded", self._clock() + BOOT
            return OperationState(state="succeeded")

        return self._begin(made.id, made.kind, created, hangs=trouble == "hangs")

    def _gone(self, resource: Resource) -> OperationState:
        if self.resources.get(resource.id) is resource:
            del self.resources[resource.id]
        return OperationState(state="succeeded")

    def _begin(self, resource: str, kind: str, finish: Callable[[], OperationState], *, hangs: bool) -> Started:
        url = f"operation-{next(self._numbers)}"
        job = self._jobs[url] = Job(resource)

        def end() -> None:
            job.state = finish()

        if not hangs:
            self._at(self._clock() + TAKES[kind], end)
        return Started(operation=Operation(resource=resource, url=url))
