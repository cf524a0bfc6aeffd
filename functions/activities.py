"""One small function per step. Each calls one thing in ``shared``; each may run twice and be cut off anywhere."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Literal

import azure.durable_functions as df

from functions.step import step
from shared.cloud import cleanup, compute, replication, traffic
from shared.cloud.compute import Operation, OperationState, Refused, Started
from shared.errors import LostLockError, SettingError, UnknownRunError
from shared.plan import Endpoint, Probe, Strict
from shared.policy.capacity import Refusal
from shared.probes import dns
from shared.probes.answer import ProbeAnswer
from shared.probes.http import probe_http
from shared.probes.sql import probe_sql
from shared.records import journal, site_state
from shared.runs import Order, Phase, StepEnd, StepStatus

bp = df.Blueprint()
NOT_THE_HOLDER = "NotTheHolder"
TOO_LATE = "TooLate"
"""The codes of orders that Coldsite itself refuses: another run holds the plan, or the order's time is over."""


@step(bp, "around")
async def freeze_replication(order: replication.ScriptOrder) -> Started | Refused:
    """Stops the replication target, so that the replica's disks agree in time. Who froze is written down first.

    Refused for a run that no longer holds its plan, for a keeper while a run is at work, when it is too late, and once
    this freezing is over. When it was thawed while Azure took the order, it is written down again and thawed later.
    """
    assert order.freezing is not None
    if late := _too_late(order.not_after, "The replica may not stay frozen any longer."):
        return late
    try:
        await site_state.mark_frozen(order.run, order.freezing)
    except LostLockError as error:
        return Refused(refusal=Refusal(kind="permanent", code=NOT_THE_HOLDER, message=str(error)))
    started = await replication.start_script(order)
    if isinstance(started, Started):
        await site_state.mark_frozen_late(order.run, order.freezing)
    return started


@step(bp, "around")
async def read_replication(order: replication.ScriptOrder) -> Started | Refused:
    """Asks the replication machine how the replica is; it changes nothing there."""
    return await replication.start_script(order)


def _too_late(not_after: datetime | None, why: str) -> Refused | None:
    """A retry that comes after its deadline must not act: what it was ordered for is no longer so by then."""
    if not_after is None or datetime.now(UTC) <= not_after:
        return None
    return Refused(refusal=Refusal(kind="permanent", code=TOO_LATE, message=why))


class NotFrozen(Strict):
    """Nothing to thaw: the replica is not frozen by this freezing, or was frozen once more since."""

    kind: Literal["not_frozen"] = "not_frozen"

    def as_step(self) -> StepEnd:
        return StepEnd(status="skipped")


@step(bp, "around")
async def thaw_replication(order: replication.ScriptOrder) -> Started | Refused | NotFrozen:
    """Lets the replication target go on, unless it was frozen once more since."""
    assert order.freezing is not None
    if not await site_state.mark_thawing(order.run.plan, order.freezing):
        return NotFrozen()
    return await replication.start_script(order)


class SetOrder(Order):
    """Snapshot every named disk as one set. ``snapshots`` are the orders by ``workload/label``; none is given after
    ``not_after``, nor, when the set is one of a ``freezing``, once that is over.
    """

    snapshots: dict[str, compute.SnapshotOrder]
    freezing: datetime | None = None
    not_after: datetime | None = None


class SetStarted(Strict):
    operations: dict[str, Started | Refused]

    def as_step(self) -> StepEnd:
        refused = [f"{k}: {o.refusal.sentence}" for k, o in self.operations.items() if isinstance(o, Refused)]
        return StepEnd(status="failed", error="; ".join(refused)) if refused else StepEnd(status="running")


@step(bp, "around")
async def take_recovery_point(order: SetOrder) -> SetStarted:
    """Starts the snapshots of one set, all at once."""
    names = list(order.snapshots)
    late = _too_late(order.not_after, "The replica may not stay frozen any longer.")
    if late is None and order.freezing and (await site_state.read_state(order.run.plan)).frozen_at != order.freezing:
        said = "The replica is not frozen for this any more; disks of different moments are worse than none."
        late = Refused(refusal=Refusal(kind="permanent", code="NotFrozen", message=said))
    if late:
        return SetStarted(operations=dict.fromkeys(names, late))
    started = await asyncio.gather(*(compute.start_snapshot(order.snapshots[name]) for name in names))
    return SetStarted(operations=dict(zip(names, started, strict=True)))


class FindPointsOrder(Order):
    group: str


class PointsFound(Strict):
    points: list[compute.PointInTime]


@step(bp, "after")
async def find_recovery_points(order: FindPointsOrder) -> PointsFound:
    """Every whole set of the plan's snapshots, newest first."""
    found = await compute.recovery_points(order.group, order.run.plan)
    owners = {point.run_id for point in found} - {"", order.run.run_id}
    keep = {owner for owner in owners if await journal.keeps_its_point(owner)} | {"", order.run.run_id}
    return PointsFound(points=[point for point in found if point.run_id in keep])


class ForgetOrder(Order):
    """Keep the newest ``keep`` sets that the timer took."""

    group: str
    keep: int


@step(bp, "after")
async def forget_recovery_points(order: ForgetOrder) -> Strict:
    """Removes the timer's oldest sets; sets that a run took belong to the run. While a run is at work it may need any
    of them, so nothing is removed then.
    """
    if (await site_state.read_state(order.run.plan)).active_run:
        return Strict()
    await cleanup.forget_points(order.group, order.run.plan, order.keep)
    return Strict()


@step(bp, "around")
async def create_disk(order: compute.DiskOrder) -> Started | Refused:
    return await compute.start_disk(order)


@step(bp, "around")
async def create_machine(order: compute.MachineOrder) -> Started | Refused:
    return await compute.start_machine(order)


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


@step(bp, "around")
async def evict_leftover(order: EvictOrder) -> Evicted:
    """Clears away the leftover that has the interface or a disk. Only what belongs to a run that ended without
    serving, or is clearing away itself, may go; a stranger's machine is a person's business.
    """
    holder = await cleanup.holder_of(order.group, order.run.run_id, order.nic, order.disks)
    if holder is None:
        return Evicted()
    try:
        run = await journal.read_run(holder.run_id)
    except UnknownRunError:
        return Evicted(because=f"It belongs to {holder.machine}, of a run that is not on record.")
    if run.outcome is None:
        return Evicted(left=[holder.machine])  # It no longer holds the plan, so it is clearing away or being ended.
    if not run.is_leftover:
        said = f"It belongs to {holder.machine}, of run {holder.run_id}, which may have served customers"
        return Evicted(because=f"{said}. If nothing on it is needed, remove it by hand.")
    clear = cleanup.CleanUpOrder(run=order.run, group=order.group, keep_snapshots=True, of_run=holder.run_id)
    return Evicted(left=(await cleanup.clean_up(clear)).left)


class Watched(Strict):
    """An operation and the step that it completes."""

    step: str
    target: str
    operation: Operation


class CheckOrder(Order):
    """Look once at each operation."""

    watched: list[Watched]


class Checked(Strict):
    """One state for each watched operation, in the same order."""

    states: list[OperationState]

    def as_step(self) -> StepEnd:
        return StepEnd(status="running" if any(s.state == "running" for s in self.states) else "succeeded")


@step(bp, "after")
async def check_operation(order: CheckOrder) -> Checked:
    """Looks once at each operation, and ends in the history the steps whose operations are over."""
    states = await asyncio.gather(*(compute.look(w.operation) for w in order.watched))
    for watched, state in zip(order.watched, states, strict=True):
        if state.state == "running":
            continue
        status: StepStatus = "succeeded" if state.state == "succeeded" else "failed"
        error = (
            (state.refusal.sentence if state.refusal else "It is not there any more.") if status == "failed" else None
        )
        await journal.end_step(order.run, watched.step, watched.target, status, error=error)
    return Checked(states=list(states))


class ProbeOrder(Order):
    """Ask every probe once. ``address`` is asked where a probe names no address of its own."""

    probes: list[Probe]
    address: str | None = None


class Probed(Strict):
    """``answered``: something spoke. ``hopeless``: waiting longer cannot help. ``unmeasured``: why there is no newest
    commit although the plan asks for it.
    """

    healthy: bool
    detail: str
    answered: bool = False
    hopeless: bool = False
    commits: dict[str, datetime] = {}
    """The newest commit of each database that was measured, by its name in small letters."""
    unmeasured: str | None = None

    def as_step(self) -> StepEnd:
        if self.hopeless:
            return StepEnd(status="failed", error=self.detail)
        detail = {"seen": self.detail} | ({"not measured": self.unmeasured} if self.unmeasured else {})
        return StepEnd(status="succeeded" if self.healthy else "running", detail=detail)


async def _probe(order: ProbeOrder) -> Probed:
    async def ask(probe: Probe) -> ProbeAnswer:
        try:
            if probe.http:
                return await probe_http(probe.http, order.address)
            assert probe.sql is not None
            return await probe_sql(probe.sql, order.address)
        except SettingError:
            raise
        except Exception as error:  # noqa: BLE001 (what one probe meets must not end the wait for the machine)
            said = f"{order.address or 'the site'} could not be asked ({type(error).__name__}: {error})"
            return ProbeAnswer(healthy=False, detail=said)

    answers = await asyncio.gather(*(ask(probe) for probe in order.probes))
    commits = {
        probe.sql.database.lower(): answer.newest_commit
        for probe, answer in zip(order.probes, answers, strict=True)
        if probe.sql and answer.newest_commit
    }
    unwell = [a for a in answers if not a.healthy]
    return Probed(
        healthy=not unwell,
        detail="; ".join(a.detail for a in unwell or answers),
        answered=any(a.answered for a in answers),
        hopeless=any(a.hopeless for a in unwell),
        commits=commits,
        unmeasured="; ".join(a.unmeasured for a in answers if a.unmeasured) or None,
    )


@step(bp, "after")
async def probe_workload(order: ProbeOrder) -> Probed:
    """Asks a recovered machine once; boot is judged by this alone."""
    return await _probe(order)


@step(bp, "after")
async def verify_site(order: ProbeOrder) -> Probed:
    """Asks the recovery site as a customer would, at its own public address."""
    return await _probe(order)


class Switched(Strict):
    kind: Literal["switched"] = "switched"


@step(bp, "around")
async def enable_recovery(order: traffic.TrafficOrder) -> Switched | Refused:
    """The first half of the cutover. Raises ``LostLockError`` when the run no longer holds its plan."""
    return await _switch(order, order.traffic.recovery, "Enabled")


@step(bp, "around")
async def disable_primary(order: traffic.TrafficOrder) -> Switched | Refused:
    """The second half: the latch. A primary that recovers will not take its traffic back."""
    return await _switch(order, order.traffic.primary, "Disabled")


async def _switch(order: traffic.TrafficOrder, endpoint: Endpoint, to: traffic.Switch) -> Switched | Refused:
    """An order that is given again late must not move customers behind the back of whoever is being asked."""
    await site_state.check_lock(order.run)
    run = await journal.read_run(order.run.run_id)
    if run.phase is not Phase.CUTTING_OVER or run.holds != order.holds:
        said = "The run has stopped for a person since this was ordered."
        return Refused(refusal=Refusal(kind="permanent", code=TOO_LATE, message=said))
    if late := _too_late(order.not_after, "The last look at the sites is too old to move anybody by it."):
        return late
    refusal = await compute.refusal_or_none(traffic.switch(order.traffic, endpoint, to))
    return Refused(refusal=refusal) if refusal else Switched()


class ReadBack(Strict):
    routing: traffic.Routing
    agrees: bool

    def as_step(self) -> StepEnd:
        if self.agrees:
            return StepEnd()
        return StepEnd(status="failed", error=f"Traffic Manager sends customers to: {self.routing.active_site}")


@step(bp, "around")
async def read_back(order: traffic.TrafficOrder) -> ReadBack:
    """Reads what Traffic Manager really holds, and remembers it as the active site."""
    routing = await traffic.read_routing(order.traffic)
    site = routing.active_site
    await site_state.change_as_by(order.run, lambda before: site_state.routed(site, before))
    return ReadBack(routing=routing, agrees=site == "recovery")


class DnsOrder(Order):
    hostname: str
    target_name: str


class DnsAnswer(Strict):
    moved: bool
    at: datetime

    def as_step(self) -> StepEnd:
        return StepEnd(status="succeeded" if self.moved else "running")


@step(bp, "after")
async def check_dns(order: DnsOrder) -> DnsAnswer:
    """Whether DNS leads customers to the recovery site."""
    return DnsAnswer(moved=await dns.same_place(order.hostname, order.target_name), at=datetime.now(UTC))


@step(bp, "around")
async def clean_up(order: cleanup.CleanUpOrder) -> cleanup.CleanedUp:
    """Removes what the run built, as far as that is possible now."""
    return await cleanup.clean_up(order)
