"""The steps that make and remove disks and machines, and look at what Azure is still doing."""

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
from shared.models.operations import Operation, OperationState, Refused, Started
from shared.models.orders import CleanedUp, CleanUpOrder, DiskOrder, MachineOrder
from shared.models.steps import Order, StepEnd, StepStatus
from shared.store.runs import read_run
from shared.store.steps import end_step

bp = df.Blueprint()


@activity(bp, "around")
async def create_disk(order: DiskOrder) -> Started | Refused:
    return await start_disk(order)


@activity(bp, "around")
async def create_machine(order: MachineOrder) -> Started | Refused:
    return await start_machine(order)


class EvictOrder(Order):
    """What a machine needs and another one has."""

    group: str
    nic: str
    disks: list[str]


class Evicted(Strict):
    """``left`` is what still stands of the leftover; ``because`` says why it must not be touched."""

    left: list[str] = []
    because: str | None = None

    def as_step(self) -> StepEnd:
        if self.because:
            return StepEnd(status="failed", error=self.because)
        return StepEnd(status="running" if self.left else "succeeded", detail={"left": self.left})


@activity(bp, "around")
async def evict_leftover(order: EvictOrder) -> Evicted:
    """Clears away the leftover that has the interface or a disk. Only what belongs to a run that ended without
    serving, or is clearing away itself, may go; a stranger's machine is a person's business.
    """
    holder = await holder_of(order.group, order.run.run_id, order.nic, order.disks)
    if holder is None:
        return Evicted()
    try:
        run = await read_run(holder.run_id)
    except UnknownRunError:
        return Evicted(because=f"It belongs to {holder.machine}, of a run that is not on record.")
    if run.outcome is None:
        return Evicted(left=[holder.machine])  # It no longer holds the plan, so it is clearing away or being ended.
    if not run.is_leftover:
        said = f"It belongs to {holder.machine}, of run {holder.run_id}, which may have served customers"
        return Evicted(because=f"{said}. If nothing on it is needed, remove it by hand.")
    clear = CleanUpOrder(run=order.run, group=order.group, keep_snapshots=True, of_run=holder.run_id)
    return Evicted(left=(await cleanup.clean_up(clear)).left)


class Watched(Strict):
    """An operation and the step that it completes."""

    step: str
    target: str
    operation: Operation


class CheckOrder(Order):
    """Look once at each operation."""

    watched: list[Watched]


class OperationsChecked(Strict):
    """One state for each watched operation, in the same order."""

    states: list[OperationState]

    def as_step(self) -> StepEnd:
        return StepEnd(status="running" if any(s.state == "running" for s in self.states) else "succeeded")


@activity(bp, "after")
async def check_operation(order: CheckOrder) -> OperationsChecked:
    """Looks once at each operation, and ends in the history the steps whose operations are over."""
    states = await asyncio.gather(*(look(w.operation) for w in order.watched))
    for watched, state in zip(order.watched, states, strict=True):
        if state.state == "running":
            continue
        status: StepStatus = "succeeded" if state.state == "succeeded" else "failed"
        error = (
            (state.refusal.sentence if state.refusal else "It is not there any more.") if status == "failed" else None
        )
        await end_step(order.run, watched.step, watched.target, status, error=error)
    return OperationsChecked(states=list(states))


@activity(bp, "around")
async def clean_up(order: CleanUpOrder) -> CleanedUp:
    """Removes what the run built, as far as that is possible now."""
    return await cleanup.clean_up(order)
