"""RecoveryPlan: everything that varies between protected businesses, as one strict, frozen model.

Every wait is a field with a default. Reading a plan file, with its errors, is ``shared.plans.loader``.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.models.base import Strict
from shared.models.detection import Detection
from shared.models.durations import Duration
from shared.models.failback import Failback
from shared.models.hooks import Fence, Hooks
from shared.models.ids import PLAN_NAME
from shared.models.places import is_setting
from shared.models.plan_fields import (
    Address,
    DiskId,
    GroupId,
    HostName,
    MachineId,
    NicId,
    ProfileId,
    Region,
    Schedule,
    SettingName,
    Size,
    Software,
    Storage,
    TagName,
    WorkloadName,
    Zonal,
    Zone,
)
from shared.models.probes import Probe, SqlProbe, _seconds

Purpose = Literal["failover", "drill"]
"""Which of the two networks a workload is recovered into."""


class Objectives(Strict):
    """The business's RTO and RPO. Every run measures the actuals."""

    recovery_time: Duration
    recovery_point: Duration


class Endpoint(Strict):
    endpoint: str = Field(min_length=1, max_length=260)
    type: Literal["externalEndpoints", "azureEndpoints"]


class Traffic(Strict):
    """The Traffic Manager profile for the cutover. ``verify`` must pass first."""

    profile: ProfileId
    hostname: HostName
    primary: Endpoint
    recovery: Endpoint
    verify: list[Probe] = Field(min_length=1)
    latch_again: bool = False
    """Whether housekeeping disables the primary endpoint again when it is enabled by hand after a failover. It warns in
    any case; during a pause it only warns."""
    dns_timeout: Duration = timedelta(minutes=10)


class RecoveryPoints(Strict):
    every: Duration = timedelta(hours=1)
    keep: int = Field(default=24, ge=1)


class Replication(Strict):
    """The machine that receives the replicated disks, and the scripts that Run Command runs on it."""

    machine: MachineId
    scripts: str | None = None
    pause_limit: Duration = timedelta(minutes=5)
    look_every: Duration = timedelta(minutes=5)
    """How often ``status.ps1`` reads the replica's state between runs."""
    recovery_points: RecoveryPoints | None = None
    script_texts: dict[str, str] = Field(default_factory=dict)
    """Filled by the loader, so that a run carries the scripts it started with."""


class DataDisk(Strict):
    lun: int = Field(ge=0, le=63)
    disk: DiskId


class Disks(Strict):
    os: DiskId
    data: list[DataDisk] = []


class PerRole(Strict):
    """One value for the failover network and one for the drill network."""

    failover: str
    drill: str

    def of(self, role: Purpose) -> str:
        return self.failover if role == "failover" else self.drill


class Interfaces(PerRole):
    """The network interface in each of the two networks."""

    failover: NicId
    drill: NicId


class Addresses(PerRole):
    """The address that each of the two interfaces has."""

    failover: Address
    drill: Address


Gate = Literal["start", "judge"]
"""Where a workload waits for others: before its machine is created, or before it counts as healthy."""


class Workload(Strict):
    """One machine of the recovery site. ``sizes`` is the capacity ladder: the first that Azure can allocate is used."""

    os: Literal["windows", "linux"] = "windows"
    generation: Literal["V1", "V2"] = "V2"
    license: Literal["Windows_Server", "Windows_Client", "None"] | None = None
    software: list[Software] = []
    """What runs on it: readiness warns before its support ends."""
    disks: Disks
    sizes: list[Size] = Field(min_length=1)
    zones: list[Zonal] = []
    storage: Storage = "Premium_LRS"
    nic: Interfaces
    address: Addresses
    boot_timeout: Duration = timedelta(minutes=30)
    expected_boot: Duration = timedelta(minutes=4)
    probes: list[Probe] = Field(min_length=1)
    depends_on: dict[str, Literal["healthy", "created"]] = {}
    """``created``: this machine is created once the other is. ``healthy``: it is judged once the other is healthy, but
    created at once, unless ``start`` is ``after``."""
    start: Literal["together", "after"] = "together"

    def waits_for(self, gate: Gate) -> dict[str, Literal["healthy", "created"]]:
        """The workloads that hold this one back before its machine is started, or before it is judged."""
        before_start = {n: how for n, how in self.depends_on.items() if how == "created" or self.start == "after"}
        if gate == "start":
            return before_start
        return {n: how for n, how in self.depends_on.items() if n not in before_start}


class ProbeRhythm(Strict):
    """``successes`` in a row, ``success_interval`` apart, make a workload healthy; ``interval`` is the closest that
    probes come together before the first.
    """

    interval: Duration = _seconds(5)
    timeout: Duration = timedelta(minutes=20)
    successes: int = Field(default=3, ge=1)
    success_interval: Duration = _seconds(1)

    @property
    def confirmed_after(self) -> timedelta:
        """The time between the first success and the last one that is needed."""
        return self.success_interval * (self.successes - 1)


class ExpectedDurations(Strict):
    """When to poll an operation of Azure first: too early costs calls, too late costs time. ``cutover`` is only
    forecast: verifying the site, one look at both sites, and two orders to Traffic Manager.
    """

    run_command: Duration = _seconds(30)
    snapshot: Duration = _seconds(5)
    disk: Duration = _seconds(5)
    machine: Duration = _seconds(60)
    delete: Duration = _seconds(40)
    cutover: Duration = _seconds(10)


class RecoveryTerms(Strict):
    """Where the workloads are rebuilt, and with which time-outs."""

    resource_group: GroupId
    location: Region
    tags: dict[TagName, Annotated[str, Field(max_length=256)]] = Field(default={}, max_length=40)
    """Tags on every resource that Coldsite creates, where a policy of the subscription requires them. Azure allows 50
    on a resource; Coldsite adds up to ten of its own."""
    probe: ProbeRhythm = ProbeRhythm()
    operation_timeout: Duration = timedelta(minutes=30)
    poll_at_least: Duration = _seconds(2)
    retry_after: Duration = _seconds(2)
    expected: ExpectedDurations = ExpectedDurations()
    hold_for: Duration = timedelta(hours=24)
    after_hold: Literal["retry", "abort"] = "retry"


class Price(Strict):
    """What all recovered machines and disks cost together, as the business knows it: Coldsite only repeats it."""

    amount: float = Field(ge=0)
    currency: str = Field(pattern=r"^[A-Z]{3}$")

    def of(self, hours: float) -> str:
        return f"{self.amount * hours:.2f} {self.currency}"


class Recovery(RecoveryTerms):
    """The workloads and the terms of their recovery."""

    price_per_hour: Price | None = None

    workloads: dict[WorkloadName, Workload] = Field(min_length=1)
    prepare: Literal["while_confirming", "when_confirmed"] = "while_confirming"
    """When an automatic failover freezes the replica, takes its set and makes the disks: beside the confirmation, or
    after it. Machines are always created after it."""

    @property
    def terms(self) -> RecoveryTerms:
        """The terms that all workloads share."""
        return RecoveryTerms.model_validate(self.model_dump(exclude={"workloads", "prepare", "price_per_hour"}))


class Drill(Strict):
    schedule: Schedule | None = None
    keep_for: Duration = timedelta(minutes=15)


class MaintenanceWindow(Strict):
    """Between ``start`` and ``end`` automatic failover is off; Coldsite still observes."""

    start: datetime
    end: datetime
    reason: str


NotifyOn = Literal["started", "decided", "needs_operator", "served", "finished", "weekly"]


class Notification(Strict):
    url_setting: SettingName
    on: list[NotifyOn] = Field(min_length=1)


class Escalation(Strict):
    """Another address for a question that no person has answered or acknowledged ``after`` it was asked."""

    to: SettingName
    after: Duration


TEXTS_OF_FILES: Any = {
    "query_texts": True,
    "replication": {"script_texts"},
    "failback": {"script_texts"},
    "hooks": {"script_texts"},
}
"""The fields of a plan that the loader fills, as pydantic excludes them."""


def _digest(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class RecoveryPlan(Strict):
    """A whole plan. Runs carry it with them, so a deployment cannot change a run in flight."""

    name: str = Field(pattern=f"^{PLAN_NAME}$", max_length=40)
    title: str
    time_zone: Zone = "UTC"
    objectives: Objectives
    traffic: Traffic
    detection: Detection
    replication: Replication
    recovery: Recovery
    fence: Fence | None = None
    drill: Drill = Drill()
    failback: Failback = Failback()
    hooks: Hooks = Hooks()
    pause: list[MaintenanceWindow] = []
    notify: list[Notification] = []
    escalation: list[Escalation] = []
    query_texts: dict[str, str] = Field(default_factory=dict)
    """The KQL files' texts, filled by the loader."""

    @property
    def loss_limit(self) -> timedelta:
        """The maximum age of the data, at the start of an outage, that needs no approval."""
        declared = self.detection.loss_limit
        return 4 * self.objectives.recovery_point if declared is None else declared

    @property
    def measured_databases(self) -> set[str]:
        """The databases, in lower case, whose newest commit a probe of a recovered machine reads."""
        probes = (probe.sql for workload in self.recovery.workloads.values() for probe in workload.probes)
        return {sql.database.lower() for sql in probes if sql and sql.recovery_point_query}

    @property
    def commit_probes(self) -> list[SqlProbe]:
        """The probes that ask the primary with the query that measures recovery points; none where the plan names no
        query, or no signal that asks the primary's database.
        """
        queries = {
            probe.sql.database.lower(): probe.sql.recovery_point_query
            for workload in self.recovery.workloads.values()
            for probe in workload.probes
            if probe.sql and probe.sql.recovery_point_query
        }
        return [
            signal.sql.model_copy(update={"recovery_point_query": queries[signal.sql.database.lower()]})
            for signal in self.detection.signals.values()
            if signal.role == "evidence" and signal.sql and signal.sql.database.lower() in queries
        ]

    @property
    def addresses(self) -> list[str]:
        """The app settings of every address that is told of anything."""
        return sorted({n.url_setting for n in self.notify} | {step.to for step in self.escalation})

    @property
    def settings(self) -> list[str]:
        """Every app setting that the plan names, in order."""
        probes = [(p.http, p.sql) for w in self.recovery.workloads.values() for p in w.probes]
        probes += [(p.http, p.sql) for p in self.traffic.verify]
        probes += [(s.http, s.sql) for s in self.detection.signals.values()]
        named: set[str | None] = {*self.addresses}
        named |= {self.fence.hook if self.fence else None} | {act.hook for act in self.failback.acts.values()}
        named |= {hook.hook for hook in self.hooks.declared.values()}
        for http, sql in probes:
            if http:
                named.add(http.certificate_authority)
                named.add(http.connect_to if http.connect_to and is_setting(http.connect_to) else None)
            if sql:
                named |= {sql.credential, sql.certificate_authority}
        return sorted(name for name in named if name)

    @property
    def hash(self) -> str:
        """SHA-256 over the canonical JSON: two runs with the same hash followed the same plan."""
        return _digest(self.model_dump(mode="json"))

    @property
    def recovery_hash(self) -> str:
        """SHA-256 over what decides whether a recovery works: machines, disks, networks, scripts, routing, fence and
        hooks. A drill proves the plans that share it; waits and declarations do not count.
        """
        counts: Any = {
            "traffic": {"profile", "hostname", "primary", "recovery", "verify"},
            "replication": {"machine", "scripts", "script_texts"},
            "recovery": {"resource_group", "location", "tags", "workloads"},
            "fence": True,
            "hooks": True,
        }
        aside: Any = {"recovery": {"workloads": {"__all__": {"boot_timeout", "expected_boot", "software"}}}}
        if not self.hooks.declared:  # The hash of a plan without hooks is as it was before there were any.
            del counts["hooks"]
        return _digest(self.model_dump(mode="json", include=counts, exclude=aside))

    @property
    def recovered_commit_probes(self) -> list[SqlProbe]:
        """The probes that ask the recovered machines with the same queries, each at its address."""
        return [
            probe.sql.model_copy(update={"server": probe.sql.server or workload.address.failover})
            for workload in self.recovery.workloads.values()
            for probe in workload.probes
            if probe.sql and probe.sql.recovery_point_query
        ]

    @property
    def home_probes(self) -> list[Probe]:
        """The direct checks of the primary site: its pages and its databases, each at an address of its own."""
        return [
            Probe(http=signal.http, sql=signal.sql)
            for signal in self.detection.signals.values()
            if signal.role == "evidence" and (signal.http or signal.sql)
        ]

    def pause_between_looks(self, elapsed: timedelta) -> timedelta:
        """Before the next look at what may take days. It grows: all of a run's history is read at every step."""
        return min(max(self.detection.interval, elapsed * 0.05), self.replication.look_every)

    @property
    def disk_labels(self) -> frozenset[str]:
        """Every disk of every workload as ``workload/label``: what a complete recovery point holds."""
        return frozenset(
            f"{name}/{label}" for name in self.recovery.workloads for label, _ in self.workload_disks(name)
        )

    def workload_disks(self, name: str) -> list[tuple[str, str]]:
        """The workload's replica disks as (label, resource id); labels are ``os`` and ``data0``, ``data1`` by LUN."""
        disks = self.recovery.workloads[name].disks
        return [("os", disks.os), *((f"data{d.lun}", d.disk) for d in disks.data)]
