"""The steps that create and delete disks and machines, and check Azure's operations in progress."""

from __future__ import annotations

import asyncio

import azure.durable_functions as df

from functions.activities.base import activity
from shared.azure import cleanup
from shared.azure.cleanup import holder_of
from shared.azure.compute import start_disk, start_machine
from shared.azure.operations import look
from shared.models.base import Strict
from shared.models.errors import UnknownRunError
from shared.models.operations import Operation, OperationState, Refusal, Refused, Started
from shared.models.orders import CleanedUp, CleanUpOrder, DiskOrder, MachineOrder
from shared.models.steps import Order, StepEnd, StepStatus
from shared.services.serving import line_of, retire_now
from shared.store import site_state
from shared.store.freezing import is_frozen
from shared.store.runs import read_run
from shared.store.steps import end_step

bp = df.Blueprint()


@activity(bp, "around")
async def create_disk(order: DiskOrder) -> Started | Refused:
    """Starts a disk. An order on suspicion is refused once its freezing is over: the run has moved on."""
    if order.freezing and not await is_frozen(order.run.plan, order.freezing):
        message = "The replica is no longer frozen for this disk; disks of different moments must not be combined."
        return Refused(refusal=Refusal(kind="permanent", code="NotFrozen", message=message))
    return await start_disk(order)


@activity(bp, "around")
async def create_machine(order: MachineOrder) -> Started | Refused:
    return await start_machine(order)


class EvictOrder(Order):
    """A resource that a machine needs and another machine holds."""

    group: str
    nic: str
    disks: list[str]


class Evicted(Strict):
    """``left`` is what remains of the leftover; ``because`` says why it must not be touched."""

    left: list[str] = []
    because: str | None = None

    def as_step(self) -> StepEnd:
        if self.because:
            return StepEnd(status="failed", error=self.because)
        return StepEnd(status="running" if self.left else "succeeded", detail={"left": self.left})


@activity(bp, "around")
async def evict_leftover(order: EvictOrder) -> Evicted:
    """Deletes the leftover that holds the interface or a disk. Only resources of a run that ended without serving, or
    that is cleaning up, may go; any other machine is left to the operator.
    """
    holder = await holder_of(order.group, order.run.run_id, order.nic, order.disks)
    if holder is None:
        return Evicted()
    try:
        run = await read_run(holder.run_id)
    except UnknownRunError:
        return Evicted(because=f"It is in use by {holder.machine}, of a run that is not on record.")
    if run.outcome is None:
        return Evicted(left=[holder.machine])  # It no longer holds the plan, so it is cleaning up or being ended.
    state = await site_state.read_state(order.run.plan)
    retiring = state.retire.get("run_id")
    kept = retiring is not None and holder.run_id in {member.run_id for member in await line_of(retiring)}
    if kept and state.protected_since_home:  # After a failback only their interfaces are needed.
        await retire_now(order.run.plan, state)
    elif not run.is_leftover:
        message = f"It is in use by {holder.machine}, of run {holder.run_id}, which may have served customers"
        return Evicted(because=f"{message}. If its data are not needed, delete it in the portal.")
    clear = CleanUpOrder(run=order.run, group=order.group, keep_snapshots=True, of_run=holder.run_id)
    return Evicted(left=(await cleanup.clean_up(clear)).left)


class SetAsideOrder(Order):
    """Delete ``machines``, by id, and keep their disks."""

    group: str
    machines: list[str]


class AsideSet(Strict):
    """``left`` are the names of the machines that still exist; ``why`` is Azure's reason, if it refused."""

    left: list[str]
    why: str = ""

    def as_step(self) -> StepEnd:
        return StepEnd(status="running" if self.left else "succeeded", error=self.why.strip(" ()") or None)


@activity(bp, "around")
async def set_aside(order: SetAsideOrder) -> AsideSet:
    """Deletes machines that serve no more, so that their interfaces are free. Their disks are kept, with the newest
    data. Raises ``LostLockError`` for a run that no longer holds its plan.
    """
    if (await site_state.check_lock(order.run)).active_site != "recovery":
        names = [machine.rsplit("/", 1)[-1] for machine in order.machines]
        return AsideSet(left=names, why=" (customers are not served from Azure any more)")
    left, refusals = await cleanup.delete_machines(order.group, order.run.plan, order.machines)
    return AsideSet(left=left, why=f" ({'; '.join(refusals)})" if refusals else "")


class Watched(Strict):
    """An operation and the step that it completes."""

    step: str
    target: str
    operation: Operation


class CheckOrder(Order):
    """Check each operation once."""

    watched: list[Watched]


class OperationsChecked(Strict):
    """One state for each watched operation, in the same order."""

    states: list[OperationState]

    def as_step(self) -> StepEnd:
        return StepEnd(status="running" if any(s.state == "running" for s in self.states) else "succeeded")


@activity(bp, "after")
async def check_operation(order: CheckOrder) -> OperationsChecked:
    """Checks each operation once, and ends in the history the steps whose operations are over, where steps are kept."""
    states = await asyncio.gather(*(look(w.operation) for w in order.watched))
    for watched, state in zip(order.watched, states, strict=True):
        if state.state == "running" or not order.run.keeps_steps:
            continue
        status: StepStatus = "succeeded" if state.state == "succeeded" else "failed"
        error = (
            (state.refusal.sentence if state.refusal else "The resource no longer exists.")
            if status == "failed"
            else None
        )
        await end_step(order.run.run_id, watched.step, watched.target, status, error=error, took=state.took)
    return OperationsChecked(states=list(states))


@activity(bp, "around")
async def clean_up(order: CleanUpOrder) -> CleanedUp:
    """Deletes what the run built, as far as that is possible now."""
    return await cleanup.clean_up(order)
