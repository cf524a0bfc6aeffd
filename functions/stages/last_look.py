"""The last check before the cutover: the reasons against it, and the question to the operator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from durabletask import task

from functions.stages.confirm import OutageConfirmation
from functions.stages.cutover import Cutover
from functions.stages.failover_state import FailoverState
from functions.stages.fencing import PlannedStop
from functions.stages.maintenance import maintenance_now
from functions.stages.rebuild import Rebuild
from functions.workflow.context import Doing, RunContext
from functions.workflow.questions import hold
from shared.models.evidence import Round
from shared.models.runs import Phase, RunInput
from shared.policy.loss import commit_question, spoken_moment
from shared.policy.outage import Doubt, doubt, lived_again, primary_serves

_AGAINST: dict[Doubt, str] = {
    "serves": "The primary site is serving traffic.",
    "blind": "Coldsite has lost connectivity (control check failing); the state of the primary site is unknown.",
    "partial": "Partial outage: the private path reaches the primary site again, so a person must decide.",
}
"""The reasons against the cutover, as sentences for the operator."""


class LastLookBeforeCutover:
    """The conditions just before the cutover, checked before every attempt."""

    def __init__(
        self,
        work: RunContext,
        run: RunInput,
        state: FailoverState,
        looking: OutageConfirmation,
        cutover: Cutover,
        rebuild: Rebuild,
        planned: PlannedStop | None,
    ) -> None:
        self._work = work
        self._run = run
        self._plan = run.plan
        self._state = state
        self._looking = looking
        self._cutover = cutover
        self._rebuild = rebuild
        self._planned = planned

    def prove(self) -> Doing[None]:
        """The recovery site serves, and there is no new reason against the cutover.

        A person must choose when the primary serves again, is reached again by the private path, or cannot be seen: two
        sites with different data are worse than one. A timeout never chooses. Approval of one question does not cover
        another; after it the recovery site is verified again, since time has passed. A question lapses when its reason
        is gone; then, as whenever the checks no longer agree, the outage is confirmed again. A run that a person
        started needs no confirmation. A question about maintenance lapses with the maintenance. A planned failover
        needs proof instead that nothing is lost.
        """
        acknowledged = self._run.acknowledge_primary_healthy and not self._is_old()
        accepted: set[Doubt] = {"serves"} if acknowledged or self._planned else set()
        may_be_worked_on = False
        while True:
            yield from self._cutover.verify()
            seen = yield from self._looking.look("before cutover")
            yield from self._work.record(last_look=seen)
            found = yield from maintenance_now(self._work, self._plan, self._state, "before cutover")
            self._state.serves = primary_serves(seen.evidence)
            lived = lived_again(seen.evidence, seen.at, self._state.known)
            self._state.lived_until = lived or self._state.lived_until
            against = doubt(seen.evidence, self._state.known.evidence, self._plan.detection.quorum)
            if lived and not against:  # It is down again, and one round does not show for how long.
                against = "unclear"
            by_a_person = self._run.trigger == "operator"
            if accepted & {against, "serves"} or (against == "unclear" and by_a_person):
                against = None
            if against in _AGAINST and (
                yield from self._choose(self._question(against), stands=partial(self._stands, against))
            ):
                accepted.add(against)
            elif against:
                if not by_a_person and (yield from self._confirm_anew(against)):
                    accepted.add("unclear")
            elif found and not may_be_worked_on:
                may_be_worked_on = yield from self._choose(found.because, until=found.until, stands=self._is_maintained)
            elif self._planned:
                yield from self._planned.prove_nothing_is_lost()
                return
            elif (lost := self._lost()) and not self._state.accepted_loss:
                self._state.accepted_loss = yield from self._choose(lost)
            else:
                return

    def _lost(self) -> str | None:
        """The loss, measured on the recovered data: replication may have reported more than it held."""
        return commit_question(
            self._rebuild.commits, self._state.home_commits, self._state.outage_began, self._plan.loss_limit
        )

    def _is_old(self) -> bool:
        """Whether the loss has grown well beyond what was acknowledged, since so much time has passed.

        The age of a recovery point that was chosen for it, from before an attack, say, does not count.
        """
        goals = self._plan.objectives
        return self._work.now - self._run.requested_at > goals.recovery_time + goals.recovery_point

    def _question(self, against: Doubt) -> str:
        if against != "serves" or self._state.point is None:
            return _AGAINST[against]
        always = primary_serves(self._state.known.evidence)
        serves = _AGAINST[against] if always else "The primary site is serving traffic again."
        since = self._state.point.holds_until or self._state.point.taken_at
        return f"{serves} Its changes since {spoken_moment(since)} would be lost."

    def _is_maintained(self) -> Doing[bool]:
        return (yield from maintenance_now(self._work, self._plan, self._state, "while asked")) is not None

    def _stands(self, asked: Doubt) -> Doing[bool]:
        """Whether the reason for the question persists; while that cannot be seen, it does."""
        try:
            seen = yield from self._looking.look("while asked")
        except task.TaskFailedError:
            return True
        return doubt(seen.evidence, self._state.known.evidence, self._plan.detection.quorum) == asked

    def _confirm_anew(self, asked: Doubt) -> Doing[bool]:
        """Confirms the outage again, after a time in which the primary served or could not be seen. Returns True when a
        person chose to cut over although the checks disagree.
        """
        verdict = yield from self._looking.confirm("confirming again")
        agreed = verdict.decision == "confirmed"
        if not agreed and verdict.reason not in ("never_agreed", "recovery_in_trouble"):
            return False
        self._state.known = Round(at=self._work.now, evidence=verdict.evidence)
        if agreed:
            if asked == "serves":  # Customers were served meanwhile, so this is another outage.
                self._state.first_down = verdict.first_down_at
            return False
        return (yield from self._choose(verdict.sentence()))

    def _choose(
        self, question: str, *, until: datetime | None = None, stands: Callable[[], Doing[bool]] | None = None
    ) -> Doing[bool]:
        asked = (
            f"{question} `abort` keeps traffic on the primary and deletes the recovery resources; `proceed` cuts over."
        )
        return (
            yield from hold(
                self._work,
                self._plan,
                Phase.VERIFYING,
                asked,
                verb="proceed",
                may_default=False,
                until=until,
                stands=stands,
            )
        )
