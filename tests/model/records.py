"""Coldsite's records, in memory: the site state and the runs' rows, under the rules of ``shared.store``.

Every write is checked: epochs only grow, one run holds the plan, and a run goes from phase to phase as
``shared.models.runs.TRANSITIONS`` allows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from shared.models.errors import LostLockError, PlanBusyError, UnknownRunError
from shared.models.ids import Kind
from shared.models.runs import CutoverState, Outcome, Phase, RecoveryRun, may_follow
from shared.models.site_state import SiteState
from shared.models.steps import RunRef
from shared.store.freezing import frozen, frozen_late, thawed, thawing


class Records:
    """One plan's records. ``phases`` is every phase that a run's row ever held, in order."""

    def __init__(self, plan: str, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.state = SiteState(plan=plan, created_at=clock())
        self.runs: dict[str, RecoveryRun] = {}
        self.phases: dict[str, list[Phase]] = {}
        self.held_at: dict[str, datetime] = {}
        """By run, when it last asked an operator for a repair."""
        self.documents: list[str] = []
        """The runs that have a document, in the order of their ends."""
        self.open_alerts: dict[str, datetime] = {}

    # The site state, as in shared.store.site_state

    def change_state(self, **changes: Any) -> SiteState:
        before = self.state
        after = SiteState.model_validate(before.model_dump() | changes)
        assert after.epoch >= before.epoch, f"the epoch fell from {before.epoch} to {after.epoch}"
        if after.active_run and after.active_run != before.active_run:
            assert after.epoch > before.epoch, f"{after.active_run} holds the plan under an epoch that was used before"
        self.state = after
        return after

    def holds(self, run: RunRef) -> bool:
        return (self.state.active_run, self.state.epoch) == (run.run_id, run.epoch)

    def take_lock(self, run_id: str, kind: Kind, over: str | None = None) -> RunRef:
        state = self.state
        if state.active_run != run_id:
            if state.active_run and state.active_run != over:
                raise PlanBusyError(state.active_run)
            state = self.change_state(
                active_run=run_id, active_kind=kind, locked_at=self._clock(), epoch=state.epoch + 1
            )
        return RunRef(run_id=run_id, plan=state.plan, epoch=state.epoch)

    def check_lock(self, run: RunRef) -> SiteState:
        if not self.holds(run):
            raise LostLockError(f"Run {run.run_id} no longer holds {run.plan}.")
        return self.state

    def mark_frozen(self, run: RunRef, freezing: datetime) -> None:
        self.change_state(**frozen(self.state, run, freezing))

    def mark_frozen_late(self, run: RunRef, freezing: datetime) -> None:
        self.change_state(**frozen_late(self.state, run, freezing, self._clock()))

    def mark_thawing(self, freezing: datetime) -> bool:
        self.change_state(**thawing(self.state, freezing))
        return self.state.frozen_at is not None and self.state.frozen_at <= freezing

    def mark_thawed(self, freezing: datetime) -> None:
        self.change_state(**thawed(self.state, freezing))

    def release_lock(self, run: RunRef, cooldown: timedelta | None) -> None:
        if not self.holds(run):
            return
        changes: dict[str, Any] = {"active_run": None, "active_kind": None, "locked_at": None}
        if cooldown:
            changes["not_before"] = self._clock() + cooldown
            changes["cooled_at"] = self._clock()
            changes["known_bad"] = self.state.last_look.bad if self.state.last_look else []
        self.change_state(**changes)

    # The alerts that are not resolved, as in shared.store.alerts

    def close_alerts_before(self, moment: datetime) -> None:
        self.open_alerts = {alert: at for alert, at in self.open_alerts.items() if at >= moment}

    # The runs' rows, as in shared.store.runs and shared.services.end_run

    def open_run(self, run: RecoveryRun) -> None:
        self.runs.setdefault(run.run_id, run)
        self.phases.setdefault(run.run_id, [run.phase])

    def read_run(self, run_id: str) -> RecoveryRun:
        if run_id not in self.runs:
            raise UnknownRunError
        return self.runs[run_id]

    def update_run(
        self, run_id: str, *, forced: bool = False, number: int | None = None, **changes: Any
    ) -> RecoveryRun:
        run = self.read_run(run_id)
        wanted = run.takes(changes, forced=forced, number=number)
        if "phase" in wanted:
            phase = Phase(wanted["phase"])
            assert may_follow(run.kind, run.phase, phase, CutoverState(wanted.get("cutover", run.cutover))), (
                f"{run_id} ends in {run.phase}, where it may not end"
            )
            self._enter(run, phase)
        elif "phase" in changes:
            # A redelivered write, after the run continued, changes nothing; a new one is an error.
            phase = Phase(changes["phase"])
            known = phase in self.phases[run_id] or (phase is Phase.CUTTING_OVER and run.abort_asked_by)
            assert known, f"{run_id} goes from {run.phase} to {phase}, which is not allowed"
        if wanted.get("holds", run.holds) > run.holds:
            self.held_at[run_id] = self._clock()
        self.runs[run_id] = RecoveryRun.model_validate(run.model_dump() | wanted)
        return self.runs[run_id]

    def _enter(self, run: RecoveryRun, phase: Phase) -> None:
        if phase is not run.phase:
            self.phases[run.run_id].append(phase)

    def end_run(self, run_id: str, **facts: Any) -> RecoveryRun:
        self.update_run(run_id, forced=True, phase=Phase.COMPLETED, ended_at=self._clock(), **facts)
        if run_id not in self.documents:
            self.documents.append(run_id)
        return self.update_run(run_id, document=1 + self.documents.index(run_id))

    def end_orphan(self, run_id: str, because: str, outcome: Outcome = Outcome.FAILED) -> None:
        """Ends the row of a run that will not end it itself, in any phase; some rows were never written."""
        run = self.runs.get(run_id)
        if run is not None and run.outcome is None:
            self.runs[run_id] = run.model_copy(update={"phase": Phase.COMPLETED})
            self.phases[run_id].append(Phase.COMPLETED)
            self.end_run(run_id, outcome=outcome, ended_because=because)

    def list_runs(self, kind: Kind | None = None) -> list[RecoveryRun]:
        """Newest first."""
        found = [run for run in self.runs.values() if kind in (None, run.kind)]
        return sorted(found, key=lambda run: run.started_at, reverse=True)
