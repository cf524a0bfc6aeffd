"""Contradictions between a plan's fields, which no single field shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from shared.models.detection import Detection
from shared.models.durations import format_duration
from shared.models.plan import RecoveryPlan
from shared.models.probes import HttpProbe
from shared.models.resource_ids import take_apart


def contradictions(plan: RecoveryPlan) -> Iterator[str]:
    detection = plan.detection
    if detection.mode == "automatic" and len(detection.paths) < 2:
        yield f"detection.mode: 'automatic' needs signals on at least two paths, not only on {_list(detection.paths)}"
    if detection.quorum > len(detection.paths):
        paths = _list(detection.paths)
        yield f"detection.quorum: {detection.quorum} is more than the {len(detection.paths)} paths: {paths}"
    if not detection.confirm_for:
        yield "detection.confirm_for: 0s would let a single check decide; at least two are needed, for example 90s"
    for key, rhythm in (
        ("detection.interval", detection.interval),
        ("recovery.probe.interval", plan.recovery.probe.interval),
    ):
        if not rhythm:
            yield f"{key}: 0s would ask without a pause; for example 5s"
    yield from _confirmed_sooner(detection)
    if detection.confirm_deadline <= detection.confirm_for:
        yield "detection.confirm_deadline: must be longer than confirm_for, or no outage could ever be confirmed"
    if detection.approval.four_eyes and detection.approval.then == "proceed":
        yield "detection.approval.then: 'proceed' would bypass the second person that four_eyes requires"
    if detection.approval.four_eyes and plan.failback.sign_off == "off":
        yield "failback.sign_off: 'off' would bypass the second person that detection.approval.four_eyes requires"
    if detection.cooldown > plan.objectives.recovery_time:
        yield (
            f"detection.cooldown: {format_duration(detection.cooldown)} is longer than objectives.recovery_time "
            f"({format_duration(plan.objectives.recovery_time)}): a second outage would not be checked in time"
        )
    if plan.loss_limit < plan.replication.look_every:
        yield (
            f"detection.loss_limit: {format_duration(plan.loss_limit)} is shorter than replication.look_every "
            f"({format_duration(plan.replication.look_every)}), so the data would always be too old"
        )
    if detection.mode == "automatic" and not plan.replication.scripts:
        yield (
            "replication.scripts: is missing. Without status.ps1 the age of the data is never known, and automatic may "
            "not cut over to data of unknown age; name the scripts, or use mode approve"
        )
    if plan.traffic.primary.endpoint.lower() == plan.traffic.recovery.endpoint.lower():
        yield f"traffic.recovery.endpoint: {plan.traffic.recovery.endpoint!r} is the primary's endpoint too"
    for name, signal in detection.signals.items():
        if signal.logs and not signal.logs.stale_after:
            yield f"detection.signals.{name}.logs.stale_after: 0s would make every sign of life too old, for example 5m"
    for name, workload in plan.recovery.workloads.items():
        if workload.os == "linux" and workload.license in ("Windows_Server", "Windows_Client"):
            yield f"recovery.workloads.{name}.license: {workload.license!r} is for Windows, and os is linux; remove it"
    acts = {f"failback.{name}": act for name, act in plan.failback.acts.items()}
    acts |= {f"hooks.{name}": hook for name, hook in plan.hooks.declared.items()}
    for key, act in acts.items():
        if act.on and act.on not in plan.recovery.workloads:
            yield f"{key}.on: {act.on!r} is not one of {_list(plan.recovery.workloads)}"
    yield from _probes_that_follow_the_customers(plan)
    yield from _bad_dependencies(plan)
    yield from _shared_places(plan)
    yield from _places_without_rights(plan)
    for number, window in enumerate(plan.pause):
        if window.start.tzinfo is None or window.end.tzinfo is None:
            yield f"pause.{number}: start and end need a time zone, for example 2027-01-15T20:00:00+01:00"
        elif window.end <= window.start:
            yield f"pause.{number}: ends before it starts"


def _confirmed_sooner(detection: Detection) -> Iterator[str]:
    sooner = detection.confirm_when_all
    if sooner is None:
        return
    if len(detection.paths) < 3:
        yield f"detection.confirm_when_all: needs signals on at least three paths, not only on {_list(detection.paths)}"
    if not detection.interval <= sooner <= detection.confirm_for:
        yield (
            f"detection.confirm_when_all: {format_duration(sooner)} is not between interval "
            f"({format_duration(detection.interval)}), which two checks need, and confirm_for "
            f"({format_duration(detection.confirm_for)})"
        )


def _probes_that_follow_the_customers(plan: RecoveryPlan) -> Iterator[str]:
    probes: list[tuple[str, HttpProbe]] = []
    for name, signal in plan.detection.signals.items():
        if signal.http:
            probes.append((f"detection.signals.{name}.http", signal.http))
    probes += [(f"traffic.verify.{i}.http", p.http) for i, p in enumerate(plan.traffic.verify) if p.http]
    for key, probe in probes:
        if probe.host and probe.port == 80:
            yield f"{key}.port: 80 with a host: a probe with a host speaks TLS. Remove host, or ask port 443"
        if not probe.connect_to:
            yield (
                f"{key}.connect_to: is missing. The name {probe.host!r} resolves to the active site, so the probe "
                "would follow the customers to the other site; name the site's own address"
            )
        elif _leads_to_customers(plan, probe.connect_to):
            yield f"{key}.connect_to: {probe.connect_to!r} is traffic.hostname: the probe would follow the customers"
        elif re.sub(r":[0-9]+$", "", probe.connect_to).lower() == (probe.host or "").lower():
            yield f"{key}.connect_to: {probe.connect_to!r} is the customers' own name; name the site's own address"
    verified = {v.http.connect_to for v in plan.traffic.verify if v.http and v.http.connect_to}
    for name, signal in plan.detection.signals.items():
        if signal.http and signal.role == "evidence" and signal.http.connect_to in verified:
            place = signal.http.connect_to
            yield f"detection.signals.{name}.http.connect_to: {place!r} is where traffic.verify asks the recovery site"
    asked = [(f"detection.signals.{name}.sql.server", s.sql) for name, s in plan.detection.signals.items() if s.sql]
    asked += [(f"traffic.verify.{i}.sql.server", v.sql) for i, v in enumerate(plan.traffic.verify) if v.sql]
    for key, sql in asked:
        if not sql.server:
            yield f"{key}: is missing"
        elif _leads_to_customers(plan, sql.server):
            yield f"{key}: {sql.server!r} is traffic.hostname: the probe would follow the customers"
    recovered = {w.address.failover.lower() for w in plan.recovery.workloads.values()}
    for name, signal in plan.detection.signals.items():
        if signal.sql and (signal.sql.server or "").lower() in recovered:
            yield f"detection.signals.{name}.sql.server: {signal.sql.server!r} is a recovery machine's address"


def _leads_to_customers(plan: RecoveryPlan, place: str) -> bool:
    return re.sub(r":[0-9]+$", "", place).rstrip(".").lower() == plan.traffic.hostname.rstrip(".").lower()


def _bad_dependencies(plan: RecoveryPlan) -> Iterator[str]:
    workloads = plan.recovery.workloads
    for name, workload in workloads.items():
        for needed in workload.depends_on:
            if needed not in workloads:
                yield f"recovery.workloads.{name}.depends_on: {needed!r} is not one of {_list(workloads)}"
    try:
        TopologicalSorter({name: list(w.depends_on) for name, w in workloads.items()}).prepare()
    except CycleError as error:
        yield f"recovery.workloads: depends_on is circular: {' -> '.join(error.args[1])}"


def _places_without_rights(plan: RecoveryPlan) -> Iterator[str]:
    """Coldsite's identity may join interfaces in the recovery group only, and read disks only in the replication
    machine's group: Azure would refuse others in the middle of a failover. Source: infra/coldsite/permissions.bicep
    """
    recovery, replica = take_apart(plan.recovery.resource_group), take_apart(plan.replication.machine)
    for name, workload in plan.recovery.workloads.items():
        for role in ("failover", "drill"):
            if not take_apart(workload.nic.of(role)).is_in_group_of(recovery):
                yield (
                    f"recovery.workloads.{name}.nic.{role}: is outside {plan.recovery.resource_group}, the only "
                    "resource group in which the deployment allows Coldsite to use interfaces. Create it there"
                )
        places = [("os", workload.disks.os)]
        places += [(f"data.{number}", data.disk) for number, data in enumerate(workload.disks.data)]
        for label, disk in places:
            if not take_apart(disk).is_in_group_of(replica):
                yield (
                    f"recovery.workloads.{name}.disks.{label}: is outside resource group {replica.group} of "
                    f"subscription {replica.subscription}, the replication machine's and the only one in which the "
                    "deployment allows Coldsite to read disks. Move it there"
                )


def _shared_places(plan: RecoveryPlan) -> Iterator[str]:
    """Two workloads, or a drill and a failover, must never need the same NIC, address or disk."""
    taken: dict[str, str] = {}
    for name, workload in plan.recovery.workloads.items():
        places = [
            (f"{kind}.{role}", getattr(workload, kind).of(role))
            for kind in ("nic", "address")
            for role in ("failover", "drill")
        ]
        places += [("disks", disk) for _, disk in plan.workload_disks(name)]
        for key, value in places:
            here = f"recovery.workloads.{name}.{key}"
            other = taken.setdefault(value.lower(), here)
            if other != here or (key == "disks" and sum(v.lower() == value.lower() for _, v in places) > 1):
                yield f"{here}: {value!r} is already {other}'s"
        luns = [disk.lun for disk in workload.disks.data]
        if len(set(luns)) < len(luns):
            yield f"recovery.workloads.{name}.disks.data: two disks have one LUN"


def _list(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"
