"""Freezing the replica, taking one consistent set of it, and thawing it. Parts of orchestrators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from durabletask import task

from functions.activities.machines import Watched
from functions.activities.recovery_points import FindPointsOrder, SetOrder, find_recovery_points, take_recovery_point
from functions.activities.replica import (
    NOT_THE_HOLDER,
    NotFrozen,
    ReplicaOrder,
    freeze_replication,
    note_replica,
    read_replication,
    thaw_replication,
)
from functions.activities.run_record import RecordOrder, record_step
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import NeedsOperator, reason
from shared.models import ids
from shared.models.errors import ReplicationError
from shared.models.operations import OperationState, PointInTime, Refused, Started
from shared.models.orders import ScriptOrder, SnapshotOrder
from shared.models.plan import RecoveryPlan
from shared.models.replica import ReplicaState, read_output
from shared.policy.recovery_points import Candidate, choose

_REPLICA = "replica"
FROZEN_TOO_LONG = (
    "Freeze limit exceeded (replication.pause_limit); replication is being resumed. Find the slow step in the "
    "timeline, then `retry`."
)


class FreezeRefused(NeedsOperator):
    """The freeze script was never started."""


class NotTheHolder(FreezeRefused):
    """Another run holds the plan by now, so this one must not act on the replica, frozen or not."""


def freeze(
    work: RunContext,
    plan: RecoveryPlan,
    freezing: datetime,
    not_after: datetime | None = None,
    busy_limit: timedelta | None = None,
) -> Doing[ReplicaState | None]:
    """Pauses the replication target and returns the replica's state; None when the plan has no scripts for it.

    ``freezing`` is when this began, and names the freezing for its thaw. ``not_after`` is when the thaw must begin,
    where the replica must not stay frozen for long. ``busy_limit`` is how long another command on the machine is waited
    for, by default as ``default_busy_limit`` says.
    """
    if not plan.replication.script_texts:
        return None
    order = ScriptOrder(
        run=work.run,
        target=_REPLICA,
        replication=plan.replication,
        script="freeze",
        freezing=freezing,
        not_after=not_after,
    )
    stuck = default_busy_limit(work) if busy_limit is None else busy_limit
    started = yield from work.insist(freeze_replication, order, in_conflict=stuck)
    if isinstance(started, Refused):
        kind = NotTheHolder if started.refusal.code == NOT_THE_HOLDER else FreezeRefused
        raise kind(
            f"The replica could not be frozen. {started.refusal.sentence} Check the replication machine, then `retry`."
        )
    watched = Watched(step="freeze_replication", target=_REPLICA, operation=started.operation)
    states = yield from work.finish([watched], plan.recovery.expected.run_command, _REPLICA)
    if states[0].state != "succeeded":
        raise NeedsOperator("The freeze script failed on the replication machine. Check the machine, then `retry`.")
    try:
        state = read_output(states[0].output)
    except ReplicationError as error:
        raise NeedsOperator(f"{error} Fix the script or the machine, then `retry`.") from error
    if state.in_order:
        note = ReplicaOrder(run=work.run, at=work.now, probes=plan.commit_probes, state=state)
        work.in_background(note_replica, note)
    return state


def default_busy_limit(work: RunContext) -> timedelta:
    """A command that holds the replication machine for longer is stuck, so that a notification is sent early."""
    return work.recovery.operation_timeout / 6


def look(work: RunContext, plan: RecoveryPlan, attempt: int = 1) -> Doing[ReplicaState]:
    """Reads the replica's state from the replication machine. Raises ``NeedsOperator`` when that fails."""
    order = ScriptOrder(run=work.run, target=_REPLICA, attempt=attempt, replication=plan.replication, script="status")
    started = yield from work.insist(read_replication, order)
    if isinstance(started, Refused):
        raise NeedsOperator(
            f"The status script could not be started on the replication machine. {started.refusal.sentence}"
        )
    watched = Watched(step="read_replication", target=_REPLICA, operation=started.operation)
    states = yield from work.finish([watched], plan.recovery.expected.run_command, _REPLICA)
    if states[0].state != "succeeded":
        raise NeedsOperator("The status script failed on the replication machine.")
    try:
        return read_output(states[0].output)
    except ReplicationError as error:
        raise NeedsOperator(str(error)) from error


def thaw_or_say(
    work: RunContext, plan: RecoveryPlan, freezing: datetime, begun: Callable[[], None] | None = None
) -> Doing[str | None]:
    """Thaws, or returns why it could not: in a cleanup, one error must not block the rest. ``begun`` is called once the
    freezing is on record as over.
    """
    try:
        yield from thaw(work, plan, freezing, begun)
    except (NeedsOperator, task.TaskFailedError) as error:
        return reason(error)
    return None


def thaw(
    work: RunContext, plan: RecoveryPlan, freezing: datetime, begun: Callable[[], None] | None = None
) -> Doing[None]:
    """Ends a freezing, with retries: a replica that stays frozen falls behind unnoticed.

    Raises ``NeedsOperator`` when it does not succeed within ``operation_timeout``; housekeeping then tries again.
    """
    if not plan.replication.script_texts:
        return
    began, attempt = work.now, 1
    while work.now - began <= plan.recovery.operation_timeout:
        order = ScriptOrder(
            run=work.run,
            target=_REPLICA,
            attempt=attempt,
            replication=plan.replication,
            script="thaw",
            freezing=freezing,
        )
        started = yield from work.do(thaw_replication, order)
        if begun and attempt == 1:
            begun()
        if isinstance(started, NotFrozen):
            return
        if isinstance(started, Refused):
            yield from work.sleep(work.pause_before_retry(started))
        else:
            watched = Watched(step="thaw_replication", target=_REPLICA, operation=started.operation)
            states = yield from work.finish([watched], plan.recovery.expected.run_command, _REPLICA)
            if states[0].state == "succeeded" and _is_thawed(states[0]):
                thawed = RecordOrder(run=work.run, thawed=freezing)
                yield from work.do(record_step, thawed)
                return
        attempt += 1
    raise NeedsOperator("The replica could not be thawed. Resume replication on the replication machine by hand.")


def _is_thawed(state: OperationState) -> bool:
    """Run Command reports success when PowerShell threw, so only the script's own output counts."""
    try:
        return read_output(state.output).frozen is False
    except ReplicationError:
        return False


def recovery_point(
    work: RunContext,
    plan: RecoveryPlan,
    wanted: str,
    replica: ReplicaState | None,
    attempt: int,
    freezing: datetime | None = None,
    not_after: datetime | None = None,
    data_until: datetime | None = None,
    not_frozen: str = "",
    holds_at_least: datetime | None = None,
) -> Doing[PointInTime]:
    """A fresh set of a usable replica, or the set on record that fits. Raises ``NeedsOperator`` when there is none.

    Each ``attempt`` takes a set of its own: half a set of an earlier one is from another moment. ``freezing`` is when
    the freezing of ``replica`` began. No snapshot is ordered after ``not_after``. ``data_until`` is the moment the
    replica's data reach at least, as known before. ``not_frozen`` says why the replica cannot be frozen, so that it is
    not copied. A set on record must hold the data as of ``holds_at_least``.
    """
    against = replica.not_copyable if replica else not_frozen or None
    says = against or "no scripts, so crash-consistent only"
    if replica:
        queued = "unknown" if replica.queue_bytes is None else replica.queue_bytes
        says = against or f"{replica.trouble or replica.state}, {queued} bytes queued"
    points: list[PointInTime] = []
    if wanted != "latest" or against:
        order = FindPointsOrder(run=work.run, target="sets", group=plan.recovery.resource_group)
        found = (yield from work.do(find_recovery_points, order)).points
        points = [
            point for point in found if plan.disk_labels <= point.snapshots.keys() and _holds(point, holds_at_least)
        ]
    candidates = [Candidate(set_id=p.set_id, taken_at=p.taken_at, consistency=p.consistency) for p in points]
    choice = choose(wanted, against is None, says, candidates, work.now)
    if choice.take_new:
        point = yield from fresh_point(
            work, plan, replica, attempt, freezing=freezing, not_after=not_after, data_until=data_until
        )
    elif choice.set_id:
        point = next(p for p in points if p.set_id == choice.set_id)
    else:
        todo = "Fix replication and `retry`, or `abort`" if wanted == "latest" else "`abort`"
        raise NeedsOperator(f"{choice.because} {todo} and start a failover with another recovery point.")
    yield from note_point(work, point, choice.because)
    return point


def note_point(work: RunContext, point: PointInTime, because: str) -> Doing[None]:
    """Writes the recovery point in use, and why it was chosen, to the run's row."""
    yield from work.record(recovery_point=point.model_dump(mode="json", exclude={"snapshots"}) | {"because": because})


def fresh_point(
    work: RunContext,
    plan: RecoveryPlan,
    replica: ReplicaState | None,
    attempt: int,
    *,
    freezing: datetime | None,
    not_after: datetime | None,
    data_until: datetime | None,
) -> Doing[PointInTime]:
    """A fresh set of a replica that may be copied; for the arguments see ``recovery_point``."""
    reported = replica.until(work.now) if replica else None
    in_order = work.now if replica and replica.in_order else None
    return (
        yield from take_set(
            work,
            plan,
            ids.set_id(work.run.run_id, attempt),
            "application" if replica and replica.frozen else "crash",
            tag_run=True,
            freezing=freezing,
            not_after=not_after,
            data_until=max(filter(None, (reported, in_order, data_until)), default=None),
        )
    )


def _holds(point: PointInTime, at_least: datetime | None) -> bool:
    until = point.holds_until
    return at_least is None or (until is not None and until >= at_least)


def take_set(
    work: RunContext,
    plan: RecoveryPlan,
    set_id: str,
    consistency: Literal["application", "crash"],
    *,
    tag_run: bool,
    freezing: datetime | None = None,
    not_after: datetime | None = None,
    data_until: datetime | None = None,
    disks: dict[str, str] | None = None,
) -> Doing[PointInTime]:
    """Snapshots every disk of every workload as one set and waits until all are usable. ``disks`` by ``workload/label``
    replace the replica's.
    """
    taken_at = work.now
    wanted = [(name, label, disk) for name in plan.recovery.workloads for label, disk in plan.workload_disks(name)]
    orders: dict[str, SnapshotOrder] = {}
    for workload, label, disk in wanted:
        tags = {
            ids.TAG_PLAN: plan.name,
            ids.TAG_WORKLOAD: workload,
            ids.TAG_SET: set_id,
            ids.TAG_TAKEN_AT: taken_at.isoformat(),
            "coldsite-disk": label,
            "coldsite-set-size": str(len(wanted)),
            "coldsite-consistency": consistency,
        }
        tags[ids.TAG_DATA_UNTIL] = data_until.isoformat() if data_until else ids.UNKNOWN
        orders[f"{workload}/{label}"] = SnapshotOrder(
            run=work.run,
            group=plan.recovery.resource_group,
            location=plan.recovery.location,
            name=ids.snapshot_name(set_id, workload, label),
            source=disks[f"{workload}/{label}"] if disks else disk,
            set_id=set_id,
            tags=plan.recovery.tags | tags | ({ids.TAG_RUN: work.run.run_id} if tag_run else {}),
        )

    def step(pending: dict[str, SnapshotOrder], attempt: int) -> Doing[dict[str, Started | Refused]]:
        order = SetOrder(
            run=work.run,
            target=set_id,
            attempt=attempt,
            snapshots=pending,
            freezing=freezing if consistency == "application" else None,
            not_after=not_after,
        )
        return (yield from work.do(take_recovery_point, order)).operations

    answers = yield from work.insist_all(step, orders)
    for key, answer in answers.items():
        if isinstance(answer, Refused):
            raise NeedsOperator(f"A snapshot was refused ({key}). {answer.refusal.sentence} Then `retry`.")
    started = {key: answer.operation for key, answer in answers.items() if isinstance(answer, Started)}
    watched = [
        Watched(step="take_recovery_point", target=set_id, operation=operation) for operation in started.values()
    ]
    states = yield from work.finish(watched, plan.recovery.expected.snapshot, set_id)
    for state in states:
        if state.state != "succeeded":
            why = state.refusal.sentence if state.refusal else "It took too long."
            raise NeedsOperator(f"A snapshot of the recovery point failed. {why} Then `retry`.")
    snapshots = {key: operation.resource for key, operation in started.items()}
    return PointInTime(
        set_id=set_id,
        taken_at=taken_at,
        consistency=consistency,
        snapshots=snapshots,
        data_until=data_until or ids.UNKNOWN,
    )
