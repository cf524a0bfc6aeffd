"""Checking the primary until it is clear whether it is unreachable. A part of a failover."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from durabletask import task

from functions.activities.evidence import gather_evidence
from functions.workflow.context import Doing, RunContext
from shared.models import ids
from shared.models.evidence import Round
from shared.models.orders import EvidenceOrder, Sources
from shared.models.runs import RunInput
from shared.models.verdict import Verdict
from shared.policy.outage import decide, operator_verdict

_DECIDED = {
    "confirmed": "the primary site is unreachable",
    "ask": "your decision is required",
    "stand_down": "no failover",
    "keep_looking": "still checking",
}
"""The decision, in the title of a notification."""


class OutageConfirmation:
    """The health checks of one run. Every round of evidence is a step in the history, by the moment it was taken.

    ``after_round`` is given the verdict after each round that leads to the decision.
    """

    def __init__(self, work: RunContext, run: RunInput, after_round: Callable[[Verdict], Doing[None]]) -> None:
        self._work = work
        self._run = run
        self._plan = run.plan
        self._after_round = after_round
        self._looked_early = False
        self.looked_at = run.requested_at
        """When the newest round was taken."""

    def decide(self) -> Doing[Verdict]:
        """The decision of this run. One that a person started carries its one pass of evidence."""
        work, detection = self._work, self._plan.detection
        if self._run.trigger == "operator":
            given = self._run.evidence
            return operator_verdict(given.evidence if given else [], detection, given.at if given else work.now)
        verdict = yield from self.confirm("confirming")
        title = f"{self._plan.title}: {_DECIDED[verdict.decision]}"
        work.tell(self._plan.notify, "decided", title, verdict.sentence(), ["abort"])
        return verdict

    def confirm(self, moment: str) -> Doing[Verdict]:
        """Gathers evidence until it has agreed for long enough, or until it is clear that it never does."""
        work, detection = self._work, self._plan.detection
        rounds = [*self._run.looks] if moment == "confirming" else []
        began, looks = work.now, 0
        while True:
            looks += 1
            try:
                rounds.append((yield from self.look(moment, looks, began)))
            except task.TaskFailedError:
                # The history's storage is unavailable, and a decision that cannot be recorded must not be taken.
                rounds.clear()
                yield from work.sleep(work.pause_since(began))
                continue
            verdict = decide(rounds, detection, work.now)
            if moment == "confirming":
                yield from self._after_round(verdict)
            if verdict.decision != "keep_looking":
                break
            if looks == 1:
                yield from work.record(verdict=verdict.sentence(), verdict_detail=verdict)
            left = timedelta(seconds=verdict.needed_for - verdict.agreed_for)
            yield from self._pause_or_news(min(detection.interval, left) if left > timedelta(0) else detection.interval)
        yield from work.record_now(verdict=verdict.sentence(), verdict_detail=verdict)
        return verdict

    def look(self, moment: str, attempt: int = 1, began: datetime | None = None) -> Doing[Round]:
        """One round of evidence."""
        order = EvidenceOrder(
            run=self._work.run,
            target=moment,
            attempt=attempt,
            began_at=began or self._work.now,
            sources=Sources.of(self._plan),
        )
        seen = yield from self._work.do(gather_evidence, order)
        self.looked_at = seen.at
        return seen

    def _pause_or_news(self, interval: timedelta) -> Doing[None]:
        """Waits for the next round; an alert's event (it is resolved, say) starts one at once, but not twice in a row:
        a storm of events must not become a storm of checks.
        """
        timer, news = self._work.ctx.create_timer(interval), self._work.event(ids.EVENT_ALERT)
        winner = yield from self._work.first(timer) if self._looked_early else self._work.first(news, timer)
        self._looked_early = winner is news
        if self._looked_early:
            self._work.take(ids.EVENT_ALERT)
