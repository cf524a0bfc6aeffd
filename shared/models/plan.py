"""RecoveryPlan: everything that varies between protected businesses, as one strict, frozen model.

Every wait is a field with a default. Reading a plan file, with its errors, is ``shared.plans.loader``.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.models.base import Strict
from shared.models.durations import Duration, IoTimeout
from shared.models.ids import PLAN_NAME
from shared.models.places import is_setting
from shared.models.plan_fields import (
    Address,
    DiskId,
    GroupId,
    HostName,
    MachineId,
    NicId,
    Path,
    Place,
    ProfileId,
    Region,
    Schedule,
    SettingName,
    Size,
    Storage,
    TagName,
    UrlPath,
    WorkloadName,
    Zonal,
    Zone,
)

Role = Literal["failover", "drill"]
"""Which of the two networks a workload is recovered into."""


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


class Objectives(Strict):
    """What the business wants: RTO and RPO. What was reached is measured by every run."""

    recovery_time: Duration
    recovery_point: Duration


class HttpExpectation(Strict):
    status: list[int] = [200]
    text: str | None = None


class HttpProbe(Strict):
    """One GET. With a ``host`` it speaks TLS and verifies the certificate against that name; without, plain HTTP."""

    connect_to: Place | None = None
    """An address with an optional port, or the name of an app setting that holds one."""
    host: HostName | None = None
    path: UrlPath = "/"
    port: int | None = Field(default=None, ge=1, le=65535)
    certificate_authority: SettingName | None = None
    """An app setting naming a CA bundle file, where the site's certificate is of an authority of its own."""
    expect: HttpExpectation = HttpExpectation()
    timeout: IoTimeout = _seconds(5)


class SqlProbe(Strict):
    """Asks whether ``database`` is ONLINE; only ONLINE is healthy. ``recovery_point_query`` answers the newest commit's
    time in UTC; a column in local time needs ``AT TIME ZONE`` there.
    """

    server: HostName | None = None
    port: int = Field(default=1433, ge=1, le=65535)
    database: str
    credential: SettingName
    recovery_point_query: str | None = None
    certificate_authority: SettingName | None = None
    """An app setting naming a CA bundle file; with it the connection is encrypted and verified."""
    timeout: IoTimeout = _seconds(5)


class Probe(Strict):
    """Exactly one way of asking."""

    http: HttpProbe | None = None
    sql: SqlProbe | None = None

    @model_validator(mode="after")
    def _one(self) -> Probe:
        if (self.http is None) == (self.sql is None):
            raise ValueError("needs exactly one of http, sql")
        return self


class TrafficManagerSignal(Strict):
    """Traffic Manager's own view of the primary's endpoint."""


class AzureHealthSignal(Strict):
    """Azure's own word on the recovery region: Service Health's active issues there."""


class LogsSignal(Strict):
    """A KQL file beside the plan whose first row's first column is the time of the newest sign of life."""

    query: str
    stale_after: Duration
    timeout: IoTimeout = _seconds(10)


class Signal(Strict):
    """One named source of evidence. Signals of one ``path`` share a line, so together they count once."""

    path: Path = "control"
    role: Literal["evidence", "control", "recovery"] = "evidence"
    """``recovery`` is about where to go: trouble there makes automatic ask a person first."""
    no_data: Literal["down", "ignored"] = "ignored"
    http: HttpProbe | None = None
    sql: SqlProbe | None = None
    traffic_manager: TrafficManagerSignal | None = None
    logs: LogsSignal | None = None
    azure_health: AzureHealthSignal | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Signal:
        sources = [self.http, self.sql, self.traffic_manager, self.logs, self.azure_health]
        if sum(source is not None for source in sources) != 1:
            raise ValueError("needs exactly one of http, sql, traffic_manager, logs, azure_health")
        if (self.azure_health is not None) != (self.role == "recovery"):
            raise ValueError("azure_health and role: recovery belong together: it says nothing of the primary site")
        if self.role == "evidence" and self.path == "control":
            raise ValueError("needs a path: public, private or another line that can fail on its own")
        return self


class Trust(Strict):
    """Until both hold, automatic acts as approve."""

    drill_within: Duration
    observed_for: Duration


class Approval(Strict):
    deadline: Duration = timedelta(minutes=30)
    then: Literal["expire", "proceed"] = "expire"
    four_eyes: bool = False
    """Whether a failover that a person starts waits for a second person. It needs sign-in, which tells people apart."""


class Detection(Strict):
    """How an outage is proven. ``quorum`` counts independent paths."""

    mode: Literal["observe", "approve", "automatic"]
    trust: Trust | Literal["off"]
    confirm_for: Duration = _seconds(90)
    confirm_deadline: Duration = timedelta(minutes=10)
    interval: Duration = _seconds(10)
    quorum: int = Field(default=2, ge=1)
    signals: dict[str, Signal]
    approval: Approval = Approval()
    loss_limit: Duration | None = None
    """Automatic never moves customers to older data without asking; by default four times the recovery point
    objective. ``RecoveryPlan.loss_limit`` is the one in force."""
    cooldown: Duration = timedelta(minutes=10)
    """Postpones the next look after a run that moved no customers. News ends it: see ``shared.services.news``."""

    @property
    def slowest_answer(self) -> timedelta:
        """How long one round of evidence may take: the longest time-out of its signals."""
        probes = [p for s in self.signals.values() for p in (s.http, s.sql, s.logs) if p]
        return max((probe.timeout for probe in probes), default=_seconds(5))

    @property
    def patience(self) -> timedelta:
        """How old a look may be, at most, to be taken for what is so now: one look may be missed."""
        return 2 * (self.interval + self.slowest_answer)

    @property
    def paths(self) -> set[str]:
        return {signal.path for signal in self.signals.values() if signal.role == "evidence"}


class Endpoint(Strict):
    endpoint: str
    type: Literal["externalEndpoints", "azureEndpoints"]


class Traffic(Strict):
    """The Traffic Manager profile that moves the customers. ``verify`` must pass before they move."""

    profile: ProfileId
    hostname: HostName
    primary: Endpoint
    recovery: Endpoint
    verify: list[Probe] = Field(min_length=1)
    latch_again: bool = False
    """Whether housekeeping locks the primary out again when somebody enables its endpoint after a failover. It says so
    in any case; during a pause it only says so."""
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
    """How often ``status.ps1`` is asked, between runs, how the replica is."""
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

    def of(self, role: Role) -> str:
        return self.failover if role == "failover" else self.drill


class Interfaces(PerRole):
    """The network interface in each of the two networks."""

    failover: NicId
    drill: NicId


class Addresses(PerRole):
    """The address that each of the two interfaces has."""

    failover: Address
    drill: Address


class Workload(Strict):
    """One machine of the recovery site. ``sizes`` is the capacity ladder: the first that Azure can allocate is used."""

    os: Literal["windows", "linux"] = "windows"
    generation: Literal["V1", "V2"] = "V2"
    license: Literal["Windows_Server", "Windows_Client", "None"] | None = None
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


class ProbeRhythm(Strict):
    interval: Duration = _seconds(5)
    timeout: Duration = timedelta(minutes=20)
    successes: int = Field(default=3, ge=1)


class ExpectedDurations(Strict):
    """When to ask first whether an operation of Azure is done. Too early costs calls, too late costs time."""

    run_command: Duration = _seconds(30)
    snapshot: Duration = _seconds(5)
    disk: Duration = _seconds(5)
    machine: Duration = _seconds(60)
    delete: Duration = _seconds(40)


class RecoveryTerms(Strict):
    """Where the workloads are rebuilt, and with how much patience."""

    resource_group: GroupId
    location: Region
    tags: dict[TagName, Annotated[str, Field(max_length=256)]] = {}
    """Put on everything that Coldsite makes, where a policy of the subscription asks for tags."""
    probe: ProbeRhythm = ProbeRhythm()
    operation_timeout: Duration = timedelta(minutes=30)
    poll_at_least: Duration = _seconds(2)
    retry_after: Duration = _seconds(2)
    expected: ExpectedDurations = ExpectedDurations()
    hold_for: Duration = timedelta(hours=24)
    after_hold: Literal["retry", "abort"] = "retry"


class Recovery(RecoveryTerms):
    """The workloads and the terms of their recovery."""

    workloads: dict[WorkloadName, Workload] = Field(min_length=1)

    @property
    def terms(self) -> RecoveryTerms:
        """Everything but the workloads: what each of them needs to know."""
        return RecoveryTerms.model_validate(self.model_dump(exclude={"workloads"}))


class Fence(Strict):
    """Stops the source's writes, if it can be reached, and lets it write again when customers stay there.

    ``hook`` names a setting that holds the URL. It gets ``{"run_id", "plan", "action": "stop" | "resume"}``.
    """

    hook: SettingName
    timeout: IoTimeout = _seconds(60)
    required: bool = False


class Drill(Strict):
    schedule: Schedule | None = None
    keep_for: Duration = timedelta(minutes=15)


class Failback(Strict):
    sign_off: Literal["required", "off"] = "required"
    retire_after: Duration = timedelta(hours=24)


class MaintenanceWindow(Strict):
    """Between ``start`` and ``end`` nothing fails over by itself; it still observes."""

    start: datetime
    end: datetime
    reason: str


NotifyOn = Literal["started", "decided", "needs_operator", "served", "finished"]


class Notification(Strict):
    url_setting: SettingName
    on: list[NotifyOn] = Field(min_length=1)


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
    pause: list[MaintenanceWindow] = []
    notify: list[Notification] = []
    query_texts: dict[str, str] = Field(default_factory=dict)
    """The KQL files' texts, filled by the loader."""

    @property
    def loss_limit(self) -> timedelta:
        """How old the data may be, at the start of an outage, for which nobody is asked."""
        return self.detection.loss_limit or 4 * self.objectives.recovery_point

    @property
    def measured_databases(self) -> set[str]:
        """The databases, in small letters, whose newest commit a probe of a recovered machine asks for."""
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
    def settings(self) -> list[str]:
        """Every app setting that the plan names, in order."""
        probes = [(p.http, p.sql) for w in self.recovery.workloads.values() for p in w.probes]
        probes += [(p.http, p.sql) for p in self.traffic.verify]
        probes += [(s.http, s.sql) for s in self.detection.signals.values()]
        named: set[str | None] = {one.url_setting for one in self.notify}
        named.add(self.fence.hook if self.fence else None)
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
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def workload_disks(self, name: str) -> list[tuple[str, str]]:
        """The workload's replica disks as (label, resource id); labels are ``os`` and ``data0``, ``data1`` by LUN."""
        disks = self.recovery.workloads[name].disks
        return [("os", disks.os), *((f"data{d.lun}", d.disk) for d in disks.data)]
