"""The model world: every activity of the app by name, with its effect and its answer.

Orders and results are the app's own models, and decisions are the app's own pure functions. What an activity must never
do, whenever and however often it is called, is asserted at that place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from functions.activities.deadlines import TOO_LATE
from functions.activities.evidence import MaintenanceFound, MaintenanceOrder
from functions.activities.machines import CheckOrder, Evicted, EvictOrder, OperationsChecked
from functions.activities.probes import DnsAnswer, DnsOrder, Probed, ProbeOrder
from functions.activities.recovery_points import (
    FindPointsOrder,
    ForgetOrder,
    PointNoteOrder,
    PointsFound,
    SetOrder,
    SetStarted,
)
from functions.activities.replica import NotFrozen, ReplicaOrder
from functions.activities.run_record import Claim, ClaimOrder, Recorded, RecordOrder, ReleaseOrder, SealOrder
from functions.activities.source import FenceOrder, HomeCommits, HomeOrder
from functions.activities.traffic import ReadBack, Switched
from shared.models import ids
from shared.models.acts import Called
from shared.models.base import Strict
from shared.models.detection import Trust
from shared.models.errors import LostLockError, StorageUnavailableError
from shared.models.evidence import Round
from shared.models.operations import Refusal, Refused, Started
from shared.models.orders import (
    POINT,
    CleanedUp,
    CleanUpOrder,
    DiskOrder,
    EvidenceOrder,
    MachineOrder,
    NotifyOrder,
    ScriptOrder,
    TrafficOrder,
)
from shared.models.plan import RecoveryPlan
from shared.models.runs import Outcome, Phase
from shared.models.steps import RunRef
from shared.policy.maintenance import maintenance
from shared.policy.trust import trust_limitation
from shared.store.site_state import looked, looked_at_replica, point_ended, routed
from tests.model.activities import app_activities, boundary
from tests.model.azure import REFUSALS, Azure
from tests.model.engine import Engine
from tests.model.records import Records
from tests.model.site import Endpoint, Primary, Replica, TrafficManager

DATABASE = "orders"
BEGINNING = datetime(2027, 1, 15, 3, 0, tzinfo=UTC)
TAKES = {"gather_evidence": timedelta(seconds=3), "notify": timedelta(seconds=2)}
LATE = Refused(refusal=Refusal(kind="permanent", code=TOO_LATE, message="It comes too late."))


class Look(NamedTuple):
    """The state when a run checked the primary."""

    at: datetime
    seen_to_serve: bool


class World:
    """One plan's world. Its engine has the only clock."""

    def __init__(self, plan: RecoveryPlan) -> None:
        self.engine = Engine(BEGINNING, self.perform, lambda name: TAKES.get(name, timedelta(seconds=0.5)))
        self.records = Records(plan.name, self.clock)
        self.primary = Primary(self.clock)
        self.traffic = TrafficManager(self.clock)
        self.replica = Replica(
            self.clock, connected=lambda: self.primary.is_managed, heard_at=lambda: self.primary.heard_at
        )
        disks = {disk for name in plan.recovery.workloads for _, disk in plan.workload_disks(name)}
        self.azure = Azure(plan.recovery.resource_group, disks, self.replica, self.clock, self.engine.at)
        self.nics = {name: workload.nic for name, workload in plan.recovery.workloads.items()}
        self.history_away_until = BEGINNING
        self.swallowed: Counter[str] = Counter()
        """How many of the next orders Traffic Manager accepts and does not carry out."""
        self.site_is_broken = False
        self.dns_is_stuck = False
        self.looks: dict[str, Look] = {}
        """By run, its last check of the primary."""
        self.verified_at: dict[str, datetime] = {}
        self.acknowledged: set[str] = set()
        """Runs that an operator told to cut over although the primary serves."""
        self.retried_at: dict[str, datetime] = {}
        self.proceeded: set[str] = set()
        """Runs that an operator told to cut over anyway."""
        self.notifications: list[NotifyOrder] = []
        self.activities: dict[str, Callable[[Any], Any]] = {
            name: getattr(self, name) for name in app_activities() if hasattr(self, name)
        }

    def clock(self) -> datetime:
        return self.engine.now

    @property
    def history_is_away(self) -> bool:
        """Every activity writes the history before it acts, so none has an effect while the history is unavailable."""
        return self.clock() < self.history_away_until

    def perform(self, name: str, order: dict[str, Any]) -> Any:
        """What the engine calls: JSON in, JSON out, as it would be in Azure."""
        if self.history_is_away:
            raise StorageUnavailableError("The history cannot be reached.")
        handler = self.activities.get(name)
        assert handler is not None, f"The model does not know the activity {name}. Add it to tests/model/world.py."
        takes, gives = boundary(getattr(World, name))
        return gives.dump_python(handler(takes.validate_python(order)), mode="json")

    # The run itself

    def claim_run(self, order: ClaimOrder) -> Claim:
        run = self.records.read_run(order.run.run_id)
        if run.outcome is not None:
            return Claim(claimed=False, because=f"The run has already ended: {run.outcome}.")
        try:
            state = self.records.check_lock(order.run)
        except LostLockError as error:
            taken = run.kind == "drill" and self.records.state.active_kind == "failover"
            self.records.end_orphan(order.run.run_id, str(error), Outcome.PREEMPTED if taken else Outcome.FAILED)
            return Claim(claimed=False, because=str(error))
        must_ask = None
        if isinstance(order.trust, Trust):
            good = [d.ended_at for d in self.records.list_runs("drill") if d.outcome is Outcome.SUCCEEDED]
            must_ask = trust_limitation(order.trust, next(iter(good), None), state.created_at, self.clock())
        return Claim(claimed=True, must_ask=must_ask, data_until=state.data_until, home_commits=state.home_commits)

    def record_step(self, order: RecordOrder) -> Recorded:
        recorded = Recorded()
        if order.changes:
            recorded = Recorded.of(self.records.update_run(order.run.run_id, number=order.number, **order.changes))
        if order.thawed:
            self.records.mark_thawed(order.thawed)
        return recorded

    def seal_run(self, order: SealOrder) -> Strict:
        self.records.end_run(order.run.run_id, **order.facts)
        return Strict()

    def release_run(self, order: ReleaseOrder) -> Strict:
        if order.well_at:
            self.records.close_alerts_before(order.well_at)
        self.records.release_lock(order.run, order.cooldown)
        return Strict()

    def notify(self, order: NotifyOrder) -> Strict:
        self.notifications.append(order)
        return Strict()

    # OutageConfirmation at the primary

    def gather_evidence(self, order: EvidenceOrder) -> Round:
        self.looks[order.run.run_id] = Look(self.clock(), self.primary.is_seen_to_serve)
        seen = self.primary.look(order.sources)
        self.records.change_state(**looked(self.records.state, seen, order.sources.detection.quorum))
        return seen

    def check_maintenance(self, order: MaintenanceOrder) -> MaintenanceFound:
        state = self.records.state
        found = maintenance(order.windows, state.paused_until, state.pause_reason, self.clock())
        return MaintenanceFound(maintenance=found)

    def fence_source(self, order: FenceOrder) -> Called:
        try:
            self.records.check_lock(order.run)
        except LostLockError as error:
            return Called(done=False, detail=str(error))
        stopped_before = self.records.state.fenced_by == order.run.run_id
        if order.action == "stop":
            self.records.change_state(fenced_by=order.run.run_id)
        elif not stopped_before:
            return Called(done=True, detail="its writes were not stopped")
        done = self.answer_of_fence(order.action)
        nothing_stopped = order.action == "stop" and not done and not stopped_before
        if nothing_stopped or (order.action == "resume" and done):
            self.records.change_state(fenced_by=None)
        return Called(done=done, detail="model", reached=done)

    def answer_of_fence(self, action: str) -> bool:
        """Stops the primary's writes or resumes them, if it can be reached."""
        if self.primary.is_managed and not self.primary.hook_lies:
            self.primary.writes_stopped_at = self.clock() if action == "stop" else None
        return self.primary.is_managed

    def read_home_commit(self, order: HomeOrder) -> HomeCommits:
        return HomeCommits(newest=self.commits_at_home())

    def commits_at_home(self) -> dict[str, datetime]:
        newest = self.primary.newest_commit
        return {DATABASE: newest} if newest else {}

    # The replica

    def read_replication(self, order: ScriptOrder) -> Started | Refused:
        return self.azure.start_script(order)

    def note_replica(self, order: ReplicaOrder) -> Strict:
        commits = self.commits_at_home()
        self.records.change_state(
            **looked_at_replica(self.records.state, order.at, order.state, order.problem, commits)
        )
        return Strict()

    def note_point(self, order: PointNoteOrder) -> Strict:
        self.records.change_state(**point_ended(self.records.state, self.clock(), order.trouble))
        return Strict()

    def freeze_replication(self, order: ScriptOrder) -> Started | Refused:
        if self._is_too_late(order.not_after):
            return LATE
        try:
            assert order.freezing is not None
            self.records.mark_frozen(order.run, order.freezing)
        except LostLockError as error:
            return Refused(refusal=Refusal(kind="permanent", code="NotTheHolder", message=str(error)))
        started = self.azure.start_script(order)
        if isinstance(started, Started):
            self.records.mark_frozen_late(order.run, order.freezing)
        return started

    def thaw_replication(self, order: ScriptOrder) -> Started | Refused | NotFrozen:
        assert order.freezing is not None
        if not self.records.mark_thawing(order.freezing):
            return NotFrozen()
        return self.azure.start_script(order)

    def _is_too_late(self, not_after: datetime | None) -> bool:
        return not_after is not None and self.clock() > not_after

    def take_recovery_point(self, order: SetOrder) -> SetStarted:
        thawed = order.freezing is not None and self.records.state.frozen_at != order.freezing
        if thawed or self._is_too_late(order.not_after):
            return SetStarted(operations=dict.fromkeys(order.snapshots, LATE))
        return SetStarted(
            operations={key: self.azure.start_snapshot(snapshot) for key, snapshot in order.snapshots.items()}
        )

    def find_recovery_points(self, order: FindPointsOrder) -> PointsFound:
        """The timer's points, the run's own, and those that a failed failover left as perhaps the last."""
        runs, mine = self.records.runs, {"", order.run.run_id}
        keep = mine | {run_id for run_id, run in runs.items() if run.keeps_its_point}
        return PointsFound(points=[point for point in self.azure.points(order.run.plan) if point.run_id in keep])

    def forget_recovery_points(self, order: ForgetOrder) -> Strict:
        if self.records.state.active_run:
            return Strict()
        timers = [p for p in self.azure.points(order.run.plan) if p.set_id.startswith(POINT)]
        for point in timers[order.keep :]:
            for snapshot in point.snapshots.values():
                self.azure.delete(self.azure.resources[snapshot])
        return Strict()

    # Machines

    def create_disk(self, order: DiskOrder) -> Started | Refused:
        state = self.records.state
        if order.freezing and (
            state.frozen_at != order.freezing or (state.thawed_through or BEGINNING) >= order.freezing
        ):
            return Refused(refusal=REFUSALS["permanent"])
        return self.azure.start_disk(order)

    def create_machine(self, order: MachineOrder) -> Started | Refused:
        return self.azure.start_machine(order)

    def check_operation(self, order: CheckOrder) -> OperationsChecked:
        return OperationsChecked(states=[self.azure.look(watched.operation) for watched in order.watched])

    def clean_up(self, order: CleanUpOrder) -> CleanedUp:
        """Never resources of a run that moves customers, or has; of another run only after it has ended."""
        run_id = order.of_run or order.run.run_id
        run = self.records.runs[run_id]
        assert not run.cutover.is_committed, f"the machines of {run_id} are cleared away, which customers are moved to"
        assert run_id == order.run.run_id or run.outcome, f"{order.run.run_id} clears {run_id} away, which goes on"
        return self.azure.clean_up(order)

    def evict_leftover(self, order: EvictOrder) -> Evicted:
        holder = self.azure.holder_of(order.run.run_id, order.nic, order.disks)
        if holder is None:
            return Evicted()
        run = self.records.read_run(holder.tags[ids.TAG_RUN])
        if run.outcome is None:
            return Evicted(left=[holder.name])
        if not run.is_leftover:
            return Evicted(because=f"It is in use by {holder.name}, which run {run.run_id} still needs.")
        clear = CleanUpOrder(run=order.run, group=order.group, keep_snapshots=True, of_run=run.run_id)
        return Evicted(left=self.clean_up(clear).left)

    def probe_workload(self, order: ProbeOrder) -> Probed:
        run_id, workload = order.run.run_id, order.target
        machine = self.azure.machine(ids.machine_name(run_id, workload))
        healthy = machine is not None and self.azure.is_up(machine)
        hopeless = bool(machine and machine.content and machine.content.damaged)
        until = machine.content.until if healthy and machine and machine.content else None
        newest = self.primary.newest_commit_held(until) if until else None
        commits = {DATABASE: newest} if newest else {}
        return Probed(healthy=healthy, detail="model", hopeless=hopeless, commits=commits)

    def verify_site(self, order: ProbeOrder) -> Probed:
        """The site's public address leads to the machines on the failover network's interfaces."""
        machines = [self.azure.machine_on(nic.failover) for nic in self.nics.values()]
        healthy = not self.site_is_broken and all(m is not None and self.azure.is_up(m) for m in machines)
        if healthy:
            self.verified_at[order.run.run_id] = self.clock()
        return Probed(healthy=healthy, detail="model")

    # Cutting over

    def enable_recovery(self, order: TrafficOrder) -> Switched | Refused:
        self.records.check_lock(order.run)
        if self._is_stale(order):
            return LATE
        if not self.traffic.recovery:
            self._may_cut_over(order.run)
            self._nobody_is_surprised(order.run.run_id)
            self._planned_loses_nothing(order.run.run_id)
        return self._switch("enable_recovery", "recovery", True, order.run)

    def disable_primary(self, order: TrafficOrder) -> Switched | Refused:
        self.records.check_lock(order.run)
        if self._is_stale(order):
            return LATE
        if self.traffic.primary:
            self._may_cut_over(order.run)
        assert self.traffic.recovery, "the primary is disabled while the recovery site is not enabled"
        return self._switch("disable_primary", "primary", False, order.run)

    def _is_stale(self, order: TrafficOrder) -> bool:
        run = self.records.runs[order.run.run_id]
        late = order.not_after is not None and self.clock() > order.not_after
        return run.phase is not Phase.CUTTING_OVER or run.holds != order.holds or late

    def _switch(self, activity: str, endpoint: Endpoint, enabled: bool, run: RunRef) -> Switched | Refused:
        if refusal := self.azure.refusal(activity):
            return Refused(refusal=refusal)
        if self.swallowed[activity]:
            self.swallowed[activity] -= 1
            return Switched()
        self.traffic.switch(endpoint, enabled, run.run_id)
        return Switched()

    def read_back(self, order: TrafficOrder) -> ReadBack:
        routing = self.traffic.routing(self.primary.monitor)
        site = routing.active_site
        self.records.check_lock(order.run)
        self.records.change_state(**routed(site, self.records.state))
        return ReadBack(routing=routing, agrees=site == "recovery")

    def check_dns(self, order: DnsOrder) -> DnsAnswer:
        moved = self.traffic.recovery and not self.traffic.primary and not self.dns_is_stuck
        return DnsAnswer(moved=moved, at=self.clock())

    def _may_cut_over(self, held: RunRef) -> None:
        """Invariants of every endpoint change."""
        run = self.records.runs[held.run_id]
        assert run.kind == "failover", f"{run.run_id} is a {run.kind} and switches Traffic Manager"
        assert run.cutover.is_committed, f"the row of {run.run_id} does not say that it cuts over"
        assert run.outcome is None, f"{run.run_id} has ended, and switches Traffic Manager"
        verified, held_at = self.verified_at.get(run.run_id), self.records.held_at.get(run.run_id, BEGINNING)
        assert verified and verified > held_at, f"{run.run_id} cuts over to a site not verified since {held_at}"

    def _nobody_is_surprised(self, run_id: str) -> None:
        """Customers leave a primary that is seen to serve only when an operator knew this and decided so."""
        look, held_at = self.looks.get(run_id), self.records.held_at.get(run_id, BEGINNING)
        assert look, f"{run_id} moves the customers without a look at the primary"
        if run_id not in self.acknowledged:
            assert not look.seen_to_serve, f"{run_id} moves the customers although the primary serves"
            asked = self.retried_at.get(run_id, BEGINNING)
            assert max(look.at, asked) > held_at, f"{run_id} moves the customers; no check since {held_at}"

    def _planned_loses_nothing(self, run_id: str) -> None:
        """Unless an operator accepted a loss, every change of a reachable primary was recovered."""
        newest, machine = self.primary.newest_commit, self.azure.machine(ids.machine_name(run_id, "sql"))
        if self.records.runs[run_id].mode == "planned" and newest and run_id not in self.proceeded:
            assert machine and machine.content and machine.content.until, f"{run_id} moves to nothing"
            held = self.primary.newest_commit_held(machine.content.until)
            assert held >= newest, f"{run_id} is planned, and loses what is newer than {held}"
