"""Looking at both sites until home may take its customers. A part of the failback's orchestrator."""

from __future__ import annotations

from datetime import datetime

from functions.activities.home import HomeLookOrder, look_home
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import NeedsOperator
from shared.models.home import HomeLook
from shared.models.runs import RunInput
from shared.policy.failback import behind, why_not_ready


class HomeCheck:
    """The looks of one failback; each is kept in the run's row."""

    def __init__(self, work: RunContext, run: RunInput) -> None:
        self._work = work
        self._run = run
        self._plan = run.plan
        self._looks = 0
        self.looked_at: datetime = run.requested_at
        """When home was last seen in a state that allows its customers to come."""

    def look(self, moment: str) -> Doing[HomeLook]:
        """One look at both sites."""
        plan, terms = self._plan, self._plan.failback
        self._looks += 1
        began = self._work.now
        order = HomeLookOrder(
            run=self._work.run,
            target=moment,
            attempt=self._looks,
            home=plan.commit_probes,
            azure=plan.recovered_commit_probes,
            pages=[probe.http for probe in plan.home_probes if probe.http],
            serving=self._run.serving,
            count_query=terms.count_query,
        )
        seen = yield from self._work.do(look_home, order)
        self.looked_at = began
        return seen

    def require_quarantine(self) -> Doing[HomeLook]:
        """Home's databases can be read, and take no writes of their own. Raises ``NeedsOperator``."""
        seen = yield from self.look("home")
        yield from self._work.record(home=seen.facts)
        if problem := why_not_ready(seen):
            raise NeedsOperator(f"{problem} Then `retry`.")
        return seen

    def until_ready(self) -> Doing[HomeLook]:
        """Waits until home holds nearly everything, at two looks in a row, however long the copy takes. A home that
        does not answer is waited for, since the copy may take its database away for a while; writes of its own are not.
        """
        work, terms, began = self._work, self._plan.failback, self._work.now
        good, reported = 0, False
        while True:
            seen = yield from self.look("syncing")
            yield from work.record(home=seen.facts)
            problem = why_not_ready(seen)
            if seen.written_at_home and problem:
                raise NeedsOperator(f"{problem} Then `retry`.")
            problem = problem or behind(seen, terms)
            good = 0 if problem else good + 1
            if good == 2:
                return seen
            silent = problem is not None and seen.lag is None
            if silent and not reported:
                work.tell(self._plan.notify, "needs_operator", f"{self._plan.title}: home is not ready", problem or "")
            reported = silent
            yield from work.sleep(
                self._plan.pause_between_looks(work.now - began) if problem else self._plan.detection.interval
            )

    def still_ready(self) -> Doing[HomeLook]:
        """The last look before writes are stopped. Raises ``NeedsOperator``."""
        seen = yield from self.look("before the stop")
        yield from self._work.record(home=seen.facts)
        by_hand = self._plan.failback.stop_writes is None
        stopped = by_hand and all(view.is_stopped for view in seen.azure.values())
        if problem := why_not_ready(seen, stopped=by_hand) or (None if stopped else behind(seen, self._plan.failback)):
            raise NeedsOperator(f"{problem} Then `retry`.")
        return seen
