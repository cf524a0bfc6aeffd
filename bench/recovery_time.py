"""How close the recovery comes to as fast as Azure allows: recovery time actual against the critical path.

The critical path is computed from the lab's own operation times (Azure's stand-in and its booting machines), along the
plan's dependency graph, never from the app's steps. The report is refused when the machine was too busy to be believed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from dataclasses import dataclass
from typing import Any, Literal

import psutil

from lab.options import LabOptions
from lab.scenario import PROJECT
from lab.twin import Lab
from shared.models.durations import spoken
from shared.models.ids import parse_run_id
from shared.models.plan import RecoveryPlan
from shared.plans.loader import build_plan, read_yaml

PLAN = PROJECT / "plans" / "contoso.yaml"
MOST_CPU = 70.0
LONGEST = 3 * 3600.0
BOUNDS = {2: 1.10}
BOUND = 1.15
"""How far above the critical path a recovery may be: for contoso, and for more workloads."""


@dataclass
class Measured:
    """One run, in simulated seconds."""

    workloads: int
    during_a_drill: bool
    speed: float
    recovery_time: float
    critical_path: float
    parts: dict[str, float]
    cpu: float
    polls: float
    throttled: int

    @property
    def ratio(self) -> float:
        return self.recovery_time / self.critical_path


def plan_with(count: int) -> RecoveryPlan:
    """Contoso with more web servers: half of them depend on nothing, half need SQL Server's machine to exist."""
    data: dict[str, Any] = read_yaml(PLAN)
    workloads = data["recovery"]["workloads"]
    iis = workloads["iis"]
    for number in range(3, count + 1):
        name = f"web{number:02}"
        workloads[name] = iis | {
            "disks": {"os": iis["disks"]["os"].replace("dt-iis-os", f"dt-{name}-os")},
            "nic": {role: path.replace("iis-", f"{name}-") for role, path in iis["nic"].items()},
            "address": {"failover": f"10.20.2.{number}", "drill": f"10.21.2.{number}"},
            "depends_on": {"sql": "created"} if number % 2 else {},
        }
    return build_plan(data, PLAN)


async def measure(plan: RecoveryPlan, speed: float, *, during_a_drill: bool = False) -> Measured:
    """Lets the primary die and waits for the end of the failover. Raises ``RuntimeError`` when it does not succeed.

    ``during_a_drill``: a drill has built its machines by then, and must make way.
    """
    async with Lab(plan, PLAN, LabOptions(speed=speed)) as lab:
        psutil.cpu_percent()
        await lab.clock.until(10)
        if during_a_drill:
            await lab.call("POST", f"plans/{plan.name}/drill", {"reason": "bench"})
            await lab.clock.until(400)
        await lab.sites.run("primary", running=False)
        run: dict[str, Any] | None = None
        while lab.clock.now < LONGEST:
            await asyncio.sleep(1.0)
            _, body = await lab.call("GET", "runs?limit=1&kind=failover")
            run = next(iter(body.get("runs", [])), None)
            if run and (run["outcome"] or run["waiting_for"]):
                break
        cpu = psutil.cpu_percent()
        if not run or run["outcome"] != "succeeded":
            raise RuntimeError(f"The failover did not succeed: {run and (run['outcome'], run['waiting_for'])}")
        parts, critical = critical_path(lab, plan, run["run_id"])
        operations = [o for o in lab.arm.operations.all.values() if o.polls]
        return Measured(
            workloads=len(plan.recovery.workloads),
            during_a_drill=during_a_drill,
            speed=speed,
            recovery_time=run["recovery_time_actual"] * speed,
            critical_path=critical,
            parts=parts,
            cpu=cpu,
            polls=sum(o.polls for o in operations) / max(1, len(operations)),
            throttled=lab.arm.throttled,
        )


def critical_path(lab: Lab, plan: RecoveryPlan, run_id: str) -> tuple[dict[str, float], float]:
    """The longest chain of waits that no software can shorten, from the simulated operations' own times."""
    run = parse_run_id(run_id)
    own = run.short if run else ""

    def took(kind: str, part: str = "") -> list[float]:
        found = [
            o
            for o in lab.arm.operations.all.values()
            if o.kind == kind and o.end and f"/{part}" in o.resource and (own in o.resource or kind == "run command")
        ]
        return [o.end - o.start for o in found if o.end is not None]

    boots = {key: end - start for key, start, end in lab.sites.boot_log}
    rhythm = plan.recovery.probe
    prove = rhythm.confirmed_after.total_seconds()
    healthy: dict[str, float] = {}
    created: dict[str, float] = {}

    def reached(needs: dict[str, Literal["healthy", "created"]]) -> list[float]:
        return [finish(n) if how == "healthy" else (finish(n), created[n])[1] for n, how in needs.items()]

    def finish(name: str) -> float:
        if name not in healthy:
            workload = plan.recovery.workloads[name]
            begin = max([0.0, *reached(workload.waits_for("start"))])
            created[name] = begin + max(took("machine", f"{name}-"))
            booted = created[name] + boots[f"recovery/{name}"]
            healthy[name] = max([booted, *reached(workload.waits_for("judge"))]) + prove
        return healthy[name]

    workloads = max(finish(name) for name in plan.recovery.workloads)
    endpoints = plan.traffic.primary.endpoint, plan.traffic.recovery.endpoint
    switch = sum(lab.options.times.of("endpoint_update", name) for name in endpoints)
    confirmed = plan.detection.confirm_for.total_seconds()
    prepared = took("run command")[0] + max(took("snapshot")) + max(took("disk"))
    beside = confirmed if plan.recovery.prepare == "while_confirming" else 0.0
    parts = {
        "evidence and confirmation": confirmed,
        "freeze, snapshot, disks, where longer": max(0.0, prepared - beside),
        "machines, boots, probes": workloads,
        "cutover": switch + lab.options.times.dns_push,
    }
    return parts, sum(parts.values())


def show(found: Measured) -> bool:
    """Prints one result; False when it is above its bound, or the machine too busy for it to mean anything."""
    what = f"{found.workloads} workloads" + (", interrupting a drill" if found.during_a_drill else "")
    print(
        f"\n{what}, speed {found.speed:g}: CPU {found.cpu:.0f} %, {found.polls:.1f} polls an operation, "
        f"{found.throttled} calls throttled"
    )
    if found.cpu > MOST_CPU:
        print(f"  Not reported: above {MOST_CPU:.0f} % CPU the times say more about this machine than about Coldsite.")
        return False
    for part, value in found.parts.items():
        print(f"  {part:<38} {value:8.1f} s  {spoken(value)}")
    print(f"  {'critical path':<38} {found.critical_path:8.1f} s")
    print(f"  {'recovery time actual':<38} {found.recovery_time:8.1f} s")
    bound = BOUNDS.get(found.workloads, BOUND)
    print(f"  {'ratio':<38} {found.ratio:8.3f}  (at most {bound:.2f})")
    return found.ratio <= bound


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", type=int, nargs="*", default=[2, 10, 25, 50])
    parser.add_argument("--speed", type=float, default=None, help="default: 10 for contoso, 5 for more workloads")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.CRITICAL)
    fine = True
    for count in arguments.workloads:
        speed = arguments.speed or (10.0 if count == 2 else 5.0)
        fine = show(asyncio.run(measure(plan_with(count), speed))) and fine
        if count == 2:
            fine = show(asyncio.run(measure(plan_with(count), speed, during_a_drill=True))) and fine
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
