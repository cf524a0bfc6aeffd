"""The sub-orchestrator: one workload from recovery point to healthy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import azure.durable_functions as df
from durabletask import task

from functions.activities.machines import EvictOrder, Watched, create_machine, evict_leftover
from functions.activities.probes import ProbeOrder, probe_workload
from functions.stages.cleanup import delete, pause_between_deletions
from functions.stages.disks import disk_orders, make_disks
from functions.stages.recover_workloads import WorkloadOrder, WorkloadOutcome
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import FIND_THE_CAUSE, EndRun, NeedsOperator, reason
from shared.models import ids
from shared.models.operations import Refusal, Refused
from shared.models.orders import CleanUpOrder, MachineOrder
from shared.models.plan import Gate
from shared.models.resource_ids import compute_id
from shared.policy.azure_errors import MAY_BE_UP
from shared.policy.capacity import next_rung

bp = df.Blueprint()
_LOOKS_AT_WHAT_LASTS = 6


@bp.orchestration_trigger(context_name="context")
def recover_workload(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Recovers one workload; it returns an outcome and never raises.

    0. On a retry, delete what Azure never finished: it would hang again.
    1. Make every disk from its snapshot, in parallel, unless the preparation has made them.
    2. Wait for the dependencies that hold back the start.
    3. Make the machine, down the ladder of sizes and zones.
    4. Notify the parent that the machine is created.
    5. Wait for the dependencies that hold back the judgement.
    6. Probe until it is healthy; boot is judged by probes alone.
    """
    order = WorkloadOrder.model_validate(data)
    work = RunContext(ctx, order.run, order.recovery)
    try:
        outcome = yield from _recover(work, order)
    except EndRun:
        outcome = WorkloadOutcome(name=order.name, healthy=False, problem="The run was aborted.")
    except NeedsOperator as problem:
        outcome = WorkloadOutcome(name=order.name, healthy=False, problem=str(problem))
    except task.TaskFailedError as error:
        message = f"A step of {order.name} failed after every retry: {reason(error)} {FIND_THE_CAUSE}"
        outcome = WorkloadOutcome(name=order.name, healthy=False, problem=message)
    return outcome.model_dump(mode="json")


def _recover(work: RunContext, order: WorkloadOrder) -> Doing[WorkloadOutcome]:
    if order.attempt > 1:
        yield from _clear(work, order, unfinished=True)
    zones: list[str | None] = [*order.workload.zones] or [None]
    waited = False
    for number, zone in enumerate(zones):
        last = number + 1 == len(zones)
        ready = order.disks_ready and number == 0
        if not ready and not (yield from _make_disks(work, order, zone, last)):
            yield from _clear(work, order)
            continue
        if not waited:
            yield from _wait_for_others(work, order, "start")
            waited = True
        made = yield from _make_machine(work, order, zone)
        if isinstance(made, str):
            created_at = work.now
            _report(work, order, "created")
            yield from _wait_for_others(work, order, "judge")
            commits = yield from _wait_until_healthy(work, order, created_at)
            return WorkloadOutcome(name=order.name, healthy=True, size=made, zone=zone, commits=commits)
        elsewhere = any(refusal.kind == "capacity" for refusal in made.values())
        if elsewhere and len(zones) > 1:
            yield from _clear(work, order)  # Disks are zonal: a retry starts in the first zone again.
        if last or not elsewhere:
            raise NeedsOperator(_out_of_rungs(order, made))
    raise AssertionError("the last zone returns or raises")


def _wait_for_others(work: RunContext, order: WorkloadOrder, gate: Gate) -> Doing[None]:
    if order.workload.waits_for(gate):
        _report(work, order, gate)
        yield from work.first(work.event(ids.EVENT_GO))


def _report(work: RunContext, order: WorkloadOrder, at: Gate | Literal["created"]) -> None:
    """Notifies the parent that the machine is created, or that this workload waits at a gate."""
    work.ctx.send_event(
        order.parent, ids.EVENT_PROGRESS, data={"workload": order.name, "at": at, "attempt": order.attempt}
    )


def _tags(order: WorkloadOrder) -> dict[str, str]:
    return order.recovery.tags | {
        ids.TAG_RUN: order.run.run_id,
        ids.TAG_PLAN: order.run.plan,
        ids.TAG_WORKLOAD: order.name,
    }


def _make_disks(work: RunContext, order: WorkloadOrder, zone: str | None, last: bool) -> Doing[bool]:
    """Disks are zonal, so another zone means other disks from the same set. Returns False when this zone cannot hold
    them and another one is left to try.
    """
    orders = disk_orders(work.run, order.recovery, order.name, order.workload, order.snapshots, zone)
    failed = yield from make_disks(work, orders, f"{order.name}/disks")
    if not last and any(refusal.kind == "capacity" for refusal in failed.values()):
        return False
    for disk, refusal in failed.items():
        raise NeedsOperator(f"Disk {disk} could not be created. {refusal.sentence} Fix this, then `retry`.")
    return True


def _make_machine(work: RunContext, order: WorkloadOrder, zone: str | None) -> Doing[str | dict[str, Refusal]]:
    """Returns the size that Azure could allocate, or the refusal of each size that was tried."""
    sizes = order.workload.sizes
    group = order.recovery.resource_group
    rung: int | None = 0
    attempt, freed, began = 0, True, work.now
    refusals: dict[str, Refusal] = {}
    while rung is not None:
        attempt += 1
        run_id = order.run.run_id
        data = [label for label in order.disks if label != "os"]
        machine = MachineOrder(
            run=order.run,
            target=order.name,
            attempt=attempt,
            group=group,
            location=order.recovery.location,
            name=ids.machine_name(run_id, order.name),
            size=sizes[rung],
            zone=zone,
            os=order.workload.os,
            license=order.workload.license,
            os_disk=compute_id(group, "disks", ids.disk_name(run_id, order.name, "os")),
            data_disks={
                int(label.removeprefix("data")): compute_id(group, "disks", ids.disk_name(run_id, order.name, label))
                for label in data
            },
            nic=order.workload.nic.of(order.role),
            tags=_tags(order),
        )
        refusal = yield from _try_size(work, order, machine)
        if refusal is None:
            return sizes[rung]
        if refusal.kind == "in_use":
            # Again, also when no holder was found: it may have gone in the meantime.
            if not freed:
                raise NeedsOperator(f"Machine {order.name} was refused. {refusal.sentence} Free it, then `retry`.")
            freed = yield from _evict(work, order, machine, refusal)
            continue
        if refusal.kind not in ("capacity", "quota"):
            raise NeedsOperator(f"Machine {order.name} was refused. {refusal.sentence} Fix this, then `retry`.")
        refusals[sizes[rung]] = refusal
        rung = next_rung(sizes, rung, refusal)
        if rung is None and order.may_get_room and work.now - began < order.recovery.operation_timeout / 6:
            # The drill that made way is still deleting its machines.
            yield from work.sleep(order.recovery.expected.delete)
            rung = 0
            refusals.clear()
    return refusals


def _try_size(work: RunContext, order: WorkloadOrder, machine: MachineOrder) -> Doing[Refusal | None]:
    began = work.now
    while True:
        result = yield from work.insist(create_machine, machine)
        if isinstance(result, Refused):
            return result.refusal
        watched = Watched(step="create_machine", target=order.name, operation=result.operation)
        states = yield from work.finish([watched], order.recovery.expected.machine, order.name)
        if states[0].state == "succeeded":
            return None
        refusal = states[0].refusal
        if states[0].state != "failed" or refusal is None:
            break
        if refusal.code.lower() in MAY_BE_UP:
            return None
        late = work.now - began > order.recovery.operation_timeout
        if refusal.kind not in ("throttled", "conflict") or late:
            return refusal
        yield from work.sleep(work.pause_before_retry(Refused(refusal=refusal)))
        machine = machine.model_copy(update={"attempt": machine.attempt + 1})
    raise NeedsOperator(f"Azure did not finish machine {order.name} in time. Check it in the portal, then `retry`.")


def _evict(work: RunContext, order: WorkloadOrder, machine: MachineOrder, refusal: Refusal) -> Doing[bool]:
    """Takes the interface or the disk over from an earlier run's leftover; False when there is none."""
    began, attempt = work.now, 1
    while True:
        evict = EvictOrder(
            run=order.run,
            target=order.name,
            attempt=attempt,
            group=order.recovery.resource_group,
            nic=machine.nic,
            disks=[machine.os_disk, *machine.data_disks.values()],
        )
        evicted = yield from work.do(evict_leftover, evict)
        if not evicted.left and not evicted.because:
            return attempt > 1
        if evicted.because or work.now - began > order.recovery.operation_timeout:
            stuck = f"It is in use and could not be deleted: {', '.join(evicted.left)}." if evicted.left else ""
            why = " ".join(part for part in (refusal.sentence, evicted.because, stuck) if part)
            raise NeedsOperator(f"Machine {order.name} was refused. {why} Free it, then `retry`.")
        yield from work.sleep(pause_between_deletions(order.recovery, work.now - began))
        attempt += 1


@dataclass
class BootState:
    """What the probes of one machine have seen, in one object that can be printed. ``good`` counts successes in a row;
    ``hopeless_since`` and ``answers_since`` are since when it gives hopeless answers, and any.
    """

    began: datetime
    looks: int = 0
    good: int = 0
    hopeless_since: datetime | None = None
    answers_since: datetime | None = None


def _wait_until_healthy(work: RunContext, order: WorkloadOrder, created_at: datetime) -> Doing[dict[str, datetime]]:
    """Probes until ``successes`` in a row. Probes are rare at first, and close together from the expected boot time on.
    Time-outs count from now: what the workload depends on is only healthy now.

    A hopeless answer counts only after it has lasted, since a starting server gives odd answers. A machine that has
    booted and answers wrongly has the probes' time-out; a silent one may still boot.
    """
    workload, rhythm, boot = order.workload, order.recovery.probe, BootState(work.now)
    while True:
        boot.looks += 1
        probe = ProbeOrder(
            run=order.run,
            target=order.name,
            attempt=boot.looks,
            began_at=boot.began,
            probes=workload.probes,
            address=workload.address.of(order.role),
        )
        seen = yield from work.do(probe_workload, probe)
        boot.good = boot.good + 1 if seen.healthy else 0
        if boot.good >= rhythm.successes:
            return seen.commits
        elapsed = work.now - boot.began
        hopeless_for = work.now - boot.hopeless_since if boot.hopeless_since else timedelta(0)
        boot.hopeless_since = (boot.hopeless_since or work.now) if seen.hopeless else None
        if seen.hopeless and hopeless_for >= rhythm.interval * _LOOKS_AT_WHAT_LASTS:
            raise NeedsOperator(f"{order.name} needs manual repair: {seen.detail}. Fix this, then `retry`.")
        boot.answers_since = (boot.answers_since or work.now) if seen.answered else None
        wrong_for = work.now - boot.answers_since if boot.answers_since and not seen.healthy else timedelta(0)
        if elapsed > workload.boot_timeout + rhythm.timeout or wrong_for > rhythm.timeout:
            raise NeedsOperator(
                f"{order.name} did not become healthy in time: {seen.detail}. Check the machine, then `retry`. To "
                "have it rebuilt, delete it in the portal first."
            )
        booting = work.now - created_at
        left = workload.expected_boot - booting
        if boot.good:
            pause = rhythm.success_interval
        elif seen.hopeless:
            pause = rhythm.interval
        else:
            pause = max(rhythm.interval, left / 4 if left > timedelta(0) else min(-left / 10, rhythm.interval * 2))
        yield from work.sleep(pause)


def _clear(work: RunContext, order: WorkloadOrder, *, unfinished: bool = False) -> Doing[None]:
    """Deletes this workload's machine and disks, so that they can be rebuilt; or only those that are ``unfinished``."""
    gone = CleanUpOrder(
        run=order.run,
        target=order.name,
        group=order.recovery.resource_group,
        keep_snapshots=True,
        workload=order.name,
        unfinished=unfinished,
        loose=unfinished and len(order.workload.zones) > 1,
    )
    if (yield from delete(work, gone)).left:
        raise NeedsOperator(
            f"The resources of {order.name} could not be deleted. Delete them in the portal, then `retry`."
        )


def _out_of_rungs(order: WorkloadOrder, refusals: dict[str, Refusal]) -> str:
    """Names the tried sizes and one refusal of each kind: quota and capacity have different remedies."""
    tried = ", ".join(refusals)
    kinds = {refusal.kind: refusal for refusal in refusals.values()}
    why = " ".join(refusal.sentence for refusal in kinds.values())
    ways = {"quota": "ask for more quota in the portal (Quotas > Compute)", "capacity": "wait for capacity"}
    advice = " or ".join(way for kind, way in ways.items() if kind in kinds)
    return (
        f"No size for {order.name} is available (tried {tried}). {why} {advice[0].upper()}{advice[1:]}, then `retry`; "
        "or `abort`, add other sizes or zones to the plan, and start again: a run keeps the plan that it started with."
    )
