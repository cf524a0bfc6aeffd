"""The entry points: alerts, the watch, people, schedules and housekeeping, as in the app's triggers.

The app's own rules decide whether a run may start. The triggers' other steps are done here in memory, and may be
interrupted between the steps, as an app may die there.
"""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any, Literal

from shared.models import ids
from shared.models.errors import ColdsiteError, RefusedError, StorageUnavailableError
from shared.models.evidence import Round
from shared.models.ids import Kind
from shared.models.orders import Sources
from shared.models.plan import RecoveryPlan
from shared.models.runs import FIRST_PHASE, CutoverState, Mode, Phase, RecoveryRun, RunInput, Trigger
from shared.policy.maintenance import maintenance
from shared.policy.outage import operator_verdict, primary_serves
from shared.policy.planned import planned_limitation
from shared.services.leftovers import point_is_needed
from shared.services.lost_runs import START_GRACE
from shared.services.news import bad_checks, newly_bad
from shared.services.start_run import is_postponed, why_unsafe
from shared.store.site_state import routed
from tests.model.site import HOUSEKEEPING, PORTAL
from tests.model.world import World

CutOff = Literal["after the lock", "after the row", "late"]
"""Where the app dies while it starts a run; ``late``: the engine starts the run only after the lock's grace period."""
Steering = Literal["approve", "reject", "proceed", "retry", "abort"]

_LETTERS: dict[Kind, str] = {"failover": "f", "drill": "d", "failback": "b"}
_MAY: dict[Steering, frozenset[Phase]] = {
    "approve": frozenset({Phase.WAITING_FOR_APPROVAL}),
    "reject": frozenset({Phase.WAITING_FOR_APPROVAL}),
    "proceed": frozenset({Phase.NEEDS_OPERATOR}),
    "retry": frozenset({Phase.NEEDS_OPERATOR}),
    "abort": frozenset(Phase) - {Phase.CUTTING_OVER, Phase.CLEANING_UP, Phase.COMPLETED},
}


class Front:
    """Coldsite's triggers before one world. ``plan`` is the deployed plan; a run keeps the plan with which it started."""

    def __init__(self, world: World, plan: RecoveryPlan) -> None:
        self.world = world
        self.plan = plan
        self._numbers = itertools.count(1)
        self._news: dict[tuple[str, str, int], str | None] = {}

    # Starting a run, as in shared.services.start_run

    def _lock_is_stale(self) -> bool:
        state = self.world.records.state
        if state.active_run is None:
            return False
        known = self.world.engine.state(state.active_run)
        if known == "unknown":
            return state.locked_at is None or self.world.clock() - state.locked_at > START_GRACE
        return known == "ended"

    def _end_lost(self, run_id: str) -> None:
        """As in shared.services.lost_runs: ends a run without an orchestration, once its child orchestrations have
        ended.
        """
        records, engine, traffic = self.world.records, self.world.engine, self.world.traffic
        run = records.runs.get(run_id)
        if run is None or run.outcome is not None:
            return
        if run.cutover.is_committed:
            site = traffic.routing(self.world.primary.monitor).active_site
            records.change_state(**routed(site, records.state))
            if site == "primary":
                records.update_run(run_id, cutover=CutoverState.STEPPED_BACK)
        children = [i for i in engine.instances.values() if i.id.startswith(f"{run_id}:") and i.status == "running"]
        for child in children:
            engine.send(child.id, ids.EVENT_ABORT, {"by": "the end of its run"})
        if not children:
            records.end_orphan(run_id, "The run stopped unexpectedly: its orchestration no longer exists.")

    def begin(
        self,
        kind: Kind,
        mode: Mode,
        trigger: Trigger,
        *,
        recovery_point: str = "latest",
        acknowledged: bool = False,
        evidence: Round | None = None,
        cut_off: CutOff | None = None,
    ) -> str | None:
        """Returns the run's id; None when the app was interrupted before its orchestration was started.

        Raises what ``shared.services.start_run.begin_run`` raises.
        """
        world, plan, now = self.world, self.plan, self.world.clock()
        records = world.records
        if world.history_is_away:
            raise StorageUnavailableError("The history cannot be reached.")
        if problem := why_unsafe(records.state, kind):
            raise RefusedError(problem)
        stale, over = self._lock_is_stale(), None
        if stale and records.state.active_run:
            self._end_lost(records.state.active_run)
            if problem := why_unsafe(records.state, kind):
                raise RefusedError(problem)
        preempts = not stale and kind == "failover" and records.state.active_kind == "drill"
        if preempts or stale:
            over = records.state.active_run
        stamp = now.strftime("%Y%m%d%H%M%S") + f"{now.microsecond // 1000:03d}"
        run_id = f"{plan.name}-{_LETTERS[kind]}{stamp}-{next(self._numbers):04x}"
        held = records.take_lock(run_id, kind, over)
        if cut_off == "after the lock":
            return None
        if over and preempts:
            world.engine.send(over, ids.EVENT_ABORT, {"by": run_id, "preempted": True})
        verdict = operator_verdict(evidence.evidence, plan.detection, evidence.at) if evidence else None
        records.open_run(
            RecoveryRun(
                run_id=run_id,
                plan=plan.name,
                plan_hash=plan.hash,
                recovery_hash=plan.recovery_hash,
                kind=kind,
                mode=mode,
                trigger=trigger,
                reason="model",
                phase=FIRST_PHASE[kind],
                verdict=verdict.sentence() if verdict else None,
                started_at=now,
            )
        )
        if cut_off == "after the row":
            return None
        order = RunInput(
            run=held,
            kind=kind,
            mode=mode,
            trigger=trigger,
            reason="model",
            requested_at=now,
            recovery_point=recovery_point,
            acknowledge_primary_healthy=acknowledged,
            evidence=evidence,
            preempted=preempts,
            plan=plan,
        )
        if acknowledged or mode == "planned":
            world.acknowledged.add(run_id)
        data = order.model_dump(mode="json")
        if cut_off == "late":
            world.engine.at(now + 2 * START_GRACE, lambda: world.engine.start(kind, run_id, data) and None)
        else:
            world.engine.start(kind, run_id, data)
        return run_id

    # Coldsite by itself, as in shared.services.handle_alert and functions.triggers.timers

    def alert(self, alert_id: str, condition: Literal["Fired", "Resolved"], moment: int = 0) -> str | None:
        """One alert of Azure Monitor. A repetition of the same news has no effect.

        While the history is unavailable an alert is refused. It is not resent here: the watch must suffice.
        """
        records, news = self.world.records, (alert_id, condition, moment)
        if self.world.history_is_away:
            return None
        if news not in self._news:
            if condition == "Fired":
                records.open_alerts[alert_id] = self.world.clock()
                self._news[news] = self._look("alert")
            else:
                records.open_alerts.pop(alert_id, None)
                self._news[news] = records.state.active_run if records.state.active_kind == "failover" else None
                if run_id := self._news[news]:
                    self.world.engine.send(run_id, ids.EVENT_ALERT, {"condition": condition})
        return self._news[news]

    def watch(self, cut_off: CutOff | None = None) -> str | None:
        degraded = self.world.traffic.primary and self.world.primary.monitor == "Degraded"
        if not degraded:
            self._forget({"public", "traffic"})
        if (degraded or self.world.records.open_alerts) and (not self._is_postponed() or self.turned_bad()):
            return self._look("watch", cut_off)
        return None

    def _is_postponed(self) -> bool:
        return is_postponed(self.world.records.state, self.world.clock())

    def turned_bad(self) -> set[str]:
        state = self.world.records.state
        seen = self.world.primary.look(Sources.of(self.plan))
        self._forget(set(state.known_bad) - bad_checks(seen).keys())
        return set(newly_bad(seen, self.world.records.state))

    def _forget(self, well: set[str]) -> None:
        state = self.world.records.state
        if not self.world.history_is_away and well & set(state.known_bad):
            self.world.records.change_state(known_bad=[name for name in state.known_bad if name not in well])

    def _look(self, trigger: Trigger, cut_off: CutOff | None = None) -> str | None:
        state = self.world.records.state
        if state.active_run and state.active_kind == "failover" and not self._lock_is_stale():
            return state.active_run if trigger == "alert" else None
        if why_unsafe(state, "failover"):
            return None
        try:
            return self.begin("failover", self.plan.detection.mode, trigger, cut_off=cut_off)
        except ColdsiteError:
            return None

    def set_is_due(self) -> None:
        """The timer's recovery point."""
        state, now, rhythm = self.world.records.state, self.world.clock(), self.plan.replication.recovery_points
        assert rhythm is not None
        if self.world.history_is_away:
            return
        fresh = state.last_set_at is not None and now - state.last_set_at < rhythm.every
        if fresh or state.active_run or state.active_site != "primary":
            return
        self.world.records.change_state(last_set_at=now)
        self._keep("take_set", f"{self.plan.name}-point-{now:%Y%m%d%H%M%S%f}")

    def housekeeping(self) -> None:
        records, engine = self.world.records, self.world.engine
        if self.world.history_is_away:
            return
        if self._lock_is_stale() and (over := records.state.active_run):
            self._end_lost(over)
            records.change_state(active_run=None, active_kind=None)
        for run in records.list_runs():
            holder = records.state.active_run
            if run.outcome is not None or run.run_id == holder:
                continue
            if self.world.clock() - run.started_at >= START_GRACE and engine.state(run.run_id) != "running":
                self._end_lost(run.run_id)
            elif (
                run.kind == "drill"
                and run.phase is not Phase.CLEANING_UP
                and self.world.clock() - run.started_at >= START_GRACE
            ):
                engine.send(run.run_id, ids.EVENT_ABORT, {"by": holder or "a failover", "preempted": True})
        state = records.state
        froze, freezing = state.frozen_by, state.frozen_at
        if (
            froze
            and freezing
            and not state.active_run
            and state.active_site == "primary"
            and engine.state(froze) != "running"
        ):
            self._keep("thaw_replica", f"{self.plan.name}-thaw-{froze}", of_run=froze, freezing=freezing.isoformat())
        fenced = state.fenced_by
        at_home = not state.active_run and state.active_site == "primary"
        if fenced and at_home and engine.state(fenced) != "running" and self.world.answer_of_fence("resume"):
            records.change_state(fenced_by=None)
        if not state.active_run:
            self._guard()
        if at_home:
            self._keep("look_at_replica", f"{self.plan.name}-replica")

    def _guard(self) -> None:
        """As in shared.services.latch and leftovers: the latch, and runs' leftovers."""
        world, state = self.world, self.world.records.state
        paused = maintenance(self.plan.pause, state.paused_until, state.pause_reason, world.clock())
        if state.latched and world.traffic.primary and world.traffic.recovery:
            if self.plan.traffic.latch_again and not paused:
                world.traffic.switch("primary", False, HOUSEKEEPING)
        for run in list(world.records.runs.values()):
            kinds = {resource.kind for resource in world.azure.owned(run.run_id)}
            keep = point_is_needed(run, state)
            left = kinds and run.is_leftover and not (keep and kinds == {"snapshots"})
            if left and world.engine.state(run.run_id) != "running":
                instance = f"{self.plan.name}-clear-{run.run_id}"
                self._keep("clear_leftovers", instance, of_run=run.run_id, keep_point=keep)

    def _keep(self, orchestrator: str, instance: str, **facts: Any) -> None:
        if self.world.engine.state(instance) != "running":
            data = {"instance": instance, "plan": self.plan.model_dump(mode="json")} | facts
            self.world.engine.start(orchestrator, instance, data)

    def enable_primary_in_the_portal(self) -> None:
        self.world.traffic.switch("primary", True, PORTAL)

    # People, as in functions.triggers.runs

    def failover(
        self, mode: Literal["planned", "unplanned"], *, acknowledge: bool, recovery_point: str = "latest"
    ) -> str | None:
        """Returns the run's id, or None when it is refused."""
        state = self.world.records.state
        busy = state.active_run and state.active_kind != "drill" and not self._lock_is_stale()
        if why_unsafe(state, "failover") or busy:
            return None
        seen = self.world.primary.look(Sources.of(self.plan))
        if mode == "unplanned" and primary_serves(seen.evidence) and not acknowledge:
            return None
        if mode == "planned" and planned_limitation(self.plan, recovery_point):
            return None
        try:
            return self.begin(
                "failover", mode, "operator", recovery_point=recovery_point, acknowledged=acknowledge, evidence=seen
            )
        except ColdsiteError:
            return None

    def drill(self, trigger: Literal["operator", "schedule"] = "operator") -> str | None:
        try:
            return self.begin("drill", "planned", trigger)
        except ColdsiteError:
            return None

    def steer(self, run_id: str, how: Steering, hold: int | None = None) -> bool:
        """Sends a run an answer, or refuses. ``hold`` marks an answer to an earlier question."""
        run = self.world.records.runs[run_id]
        if (
            self.world.history_is_away
            or run.outcome is not None
            or run.phase not in _MAY[how]
            or (how == "abort" and run.cutover.is_committed)
            or (how in ("retry", "proceed") and how not in run.answers)
        ):
            return False
        if how == "abort" and self.world.records.update_run(run_id, abort_asked_by="somebody").abort_asked_by is None:
            return False
        answered = run.holds if hold is None else hold
        if how in ("retry", "proceed") and answered == run.holds:
            self.world.retried_at[run_id] = self.world.clock()
            look = self.world.looks.get(run_id)
            if how == "proceed":
                self.world.proceeded.add(run_id)
            if how == "proceed" and look and look.seen_to_serve:
                self.world.acknowledged.add(run_id)
        self.world.engine.send(run_id, how, {"by": "somebody", "reason": "", "hold": answered})
        return True

    def pause(self, duration: timedelta) -> None:
        until = self.world.clock() + duration
        self.world.records.change_state(paused_until=until, pause_reason="model", not_before=None)
