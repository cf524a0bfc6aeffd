"""What earlier runs of a plan took replaces what the plan expects: for first polls, for forecasts, for what is late.

Pure. Only runs that succeeded teach, and only steps that were carried out once: one that was cut off says how long the
interruption was.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import median

from shared.models.plan import RecoveryPlan, Workload
from shared.models.steps import Step

KEPT = 10
"""How many of the newest durations are kept for each step."""

_LATEST_FIRST_PROBE = 0.05
"""The share of a boot within which its first probe must begin."""

type Durations = dict[str, list[float]]
"""Seconds, oldest first, by ``run_command``, ``snapshot``, ``disk``, ``machine`` and ``boot/WORKLOAD``."""

_EXPECTED = {
    "freeze_replication": "run_command",
    "take_recovery_point": "snapshot",
    "create_disk": "disk",
    "create_machine": "machine",
}


def durations_of(steps: list[Step]) -> dict[str, float]:
    """The durations of one run's steps, the longest of each kind: what is polled together is done with the last.

    Operations count by Azure's own clock: the end that Coldsite sees is never before its first poll, so it would learn
    its own rhythm. A boot counts from the created machine to the healthy answers, where it was probed from its creation
    on: a workload that waits for another one is probed later, and its own boot is not seen.
    """
    found: dict[str, float] = {}
    created = {step.target: step.ended_at for step in steps if step.name == "create_machine" and _once(step)}
    for step in steps:
        if step.name in _EXPECTED and _once(step) and step.took is not None:
            key, took = _EXPECTED[step.name], step.took
        elif step.name == "probe_workload" and (booted := _boot_of(created.get(step.target), step)) is not None:
            key, took = f"boot/{step.target}", booted
        else:
            continue
        found[key] = max(found.get(key, 0.0), took)
    return found


def with_one_more(known: Durations, took: dict[str, float]) -> Durations:
    """The durations with those of one more run."""
    return known | {key: [*known.get(key, []), round(seconds, 3)][-KEPT:] for key, seconds in took.items()}


def as_learned(plan: RecoveryPlan, known: Durations) -> RecoveryPlan:
    """The plan with the median of each duration in place of what it declares. Its hash is another one."""
    medians = {key: timedelta(seconds=median(taken)) for key, taken in known.items() if taken}
    recovery = plan.recovery
    expected = recovery.expected.model_copy(update={key: medians[key] for key in _EXPECTED.values() if key in medians})
    workloads = {name: _boot(workload, medians.get(f"boot/{name}")) for name, workload in recovery.workloads.items()}
    changed = recovery.model_copy(update={"expected": expected, "workloads": workloads})
    return plan.model_copy(update={"recovery": changed})


def _once(step: Step) -> bool:
    return step.status == "succeeded" and step.attempts == 1


def _boot_of(created: datetime | None, step: Step) -> float | None:
    if created is None or step.ended_at is None or step.status != "succeeded":
        return None
    booted = (step.ended_at - created).total_seconds()
    return booted if (step.started_at - created).total_seconds() <= booted * _LATEST_FIRST_PROBE else None


def _boot(workload: Workload, learned: timedelta | None) -> Workload:
    return workload.model_copy(update={"expected_boot": learned}) if learned else workload
