"""How long a failover is expected to take, step by step, from the durations that the plan declares.

It is computed as the orchestrators work: disks at once, machines as soon as their dependencies allow, a workload judged
once what it needs is healthy.
"""

from __future__ import annotations

from datetime import timedelta
from graphlib import TopologicalSorter

from shared.models.base import Strict
from shared.models.plan import RecoveryPlan, Workload


class ExpectedStep(Strict):
    """A step of the expected timeline, in seconds after the decision."""

    name: str
    target: str
    begins: float
    ends: float


def expected_timeline(plan: RecoveryPlan) -> list[ExpectedStep]:
    """The expected steps of a failover in the order in which they begin; the last one ends with the cutover."""
    expected = plan.recovery.expected
    frozen = expected.run_command.total_seconds() if plan.replication.scripts else 0.0
    snapshot = frozen + expected.snapshot.total_seconds()
    disks = snapshot + expected.disk.total_seconds()
    steps = [ExpectedStep(name="take_recovery_point", target="all", begins=frozen, ends=snapshot)]
    if frozen:
        steps.append(ExpectedStep(name="freeze_replication", target="replica", begins=0.0, ends=frozen))
    steps.append(ExpectedStep(name="create_disk", target="all", begins=snapshot, ends=disks))
    created: dict[str, float] = {}
    healthy: dict[str, float] = {}
    for name in _in_order(plan.recovery.workloads):
        workload = plan.recovery.workloads[name]
        reached = {"created": created, "healthy": healthy}
        start = max([disks, *(reached[how][n] for n, how in workload.waits_for("start").items())])
        created[name] = start + expected.machine.total_seconds()
        judged = max([created[name], *(reached[how][n] for n, how in workload.waits_for("judge").items())])
        booted = created[name] + workload.expected_boot.total_seconds()
        healthy[name] = max(booted, judged) + plan.recovery.probe.confirmed_after.total_seconds()
        steps.append(ExpectedStep(name="create_machine", target=name, begins=start, ends=created[name]))
        steps.append(ExpectedStep(name="probe_workload", target=name, begins=created[name], ends=healthy[name]))
    verified = max(healthy.values())
    moved = verified + expected.cutover.total_seconds()
    steps.append(ExpectedStep(name="enable_recovery", target="customers", begins=verified, ends=moved))
    return sorted(steps, key=lambda step: (step.begins, step.ends))


def expected_duration(plan: RecoveryPlan) -> timedelta:
    """From the decision until Traffic Manager sends customers to the recovery site."""
    return timedelta(seconds=expected_timeline(plan)[-1].ends)


def dependency_costs(plan: RecoveryPlan) -> dict[tuple[str, str], timedelta]:
    """By workload and what it depends on: how much sooner customers would be served without this dependency."""
    whole = expected_duration(plan)
    return {
        (name, needed): whole - expected_duration(_without(plan, name, needed))
        for name, workload in plan.recovery.workloads.items()
        for needed in workload.depends_on
    }


def _without(plan: RecoveryPlan, name: str, needed: str) -> RecoveryPlan:
    workload = plan.recovery.workloads[name]
    kept = {n: how for n, how in workload.depends_on.items() if n != needed}
    workloads = plan.recovery.workloads | {name: workload.model_copy(update={"depends_on": kept})}
    return plan.model_copy(update={"recovery": plan.recovery.model_copy(update={"workloads": workloads})})


def _in_order(workloads: dict[str, Workload]) -> list[str]:
    return list(TopologicalSorter({name: list(w.depends_on) for name, w in workloads.items()}).static_order())
