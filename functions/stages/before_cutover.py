"""The last check before the cutover: the reasons against it, and the question to the operator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import cast, get_args

from durabletask import task

from functions.stages.confirm import OutageConfirmation
from functions.stages.cutover import FailoverCutover
from functions.stages.failover_state import FailoverState
from functions.stages.fencing import PlannedStop
from functions.stages.hooks import PlanHooks
from functions.stages.maintenance import maintenance_now
from functions.stages.recover_workloads import WorkloadsRecovery
from functions.workflow.context import Doing, RunContext
from functions.workflow.questions import Question, ask
from shared.models.evidence import Round
from shared.models.runs import Phase, RunInput
from shared.policy.cutover_gate import Ask, Concern, ConfirmAgain, Go, LastLook, cutover_gate
from shared.policy.loss import commit_question, loss_question
from shared.policy.outage import Doubt, doubt, lived_again, primary_serves


class BeforeCutover:
    """The conditions just before the cutover, checked before every attempt."""

    def __init__(
        self,
        work: RunContext,
        run: RunInput,
        state: FailoverState,
        looking: OutageConfirmation,
        cutover: FailoverCutover,
        recovery: WorkloadsRecovery,
        planned: PlannedStop | None,
        hooks: PlanHooks,
    ) -> None:
        self._work = work
        self._run = run
        self._plan = run.plan
        self._state = state
        self._looking = looking
        self._cutover = cutover
        self._recovery = recovery
        self._planned = planned
        self._hooks = hooks

    def clear_to_move(self) -> Doing[None]:
        """The recovery site serves, and there is no new reason against the cutover.

        A person must choose when the primary serves again, is reached again by the private path, or cannot be seen: two
        sites with different data are worse than one. A timeout never chooses. Approval of one question does not cover
        another; after it the recovery site is verified again, since time has passed. A question lapses when its reason
        is gone; then, as whenever the checks no longer agree, the outage is confirmed again. A run that a person
        started needs no confirmation. A question about maintenance lapses with the maintenance. A planned failover
        needs proof instead that nothing is lost.
        """
        accepted = self._accepted_at_the_start()
        if self._hooks.awaits("before_cutover"):
            yield from self._cutover.verify()
            yield from self._hooks.consult("before_cutover", Phase.VERIFYING)
        while True:
            yield from self._cutover.verify()
            look = yield from self._look(accepted)
            match cutover_gate(look):
                case Go():
                    if self._planned:
                        yield from self._planned.prove_nothing_is_lost()
                    return
                case Ask() as gate:
                    still_true = None if gate.about == "loss" else partial(self._is_still_true, gate.about)
                    if (yield from self._ask(gate.text, gate.until, still_true)):
                        accepted.add(gate.about)
                        self._state.accepted_loss = self._state.accepted_loss or gate.about == "loss"
                    elif gate.about in get_args(Doubt) and not look.by_a_person:
                        yield from self._confirm_again(cast(Doubt, gate.about), accepted)
                case ConfirmAgain(cause):
                    yield from self._confirm_again(cause, accepted)

    def _accepted_at_the_start(self) -> set[Concern]:
        """What the order itself has answered. An acknowledgement lapses once the order is older than both objectives
        together: the loss that was acknowledged has grown well beyond what the operator saw.
        """
        goals = self._plan.objectives
        is_old = self._work.now - self._run.requested_at > goals.recovery_time + goals.recovery_point
        acknowledged = self._run.acknowledge_primary_healthy and not is_old
        return {"serves"} if acknowledged or self._planned else set()

    def _look(self, accepted: set[Concern]) -> Doing[LastLook]:
        seen = yield from self._looking.look("before cutover")
        yield from self._work.record(last_look=seen)
        maintenance = yield from maintenance_now(self._work, self._plan, self._state, "before cutover")
        state = self._state
        state.serves = primary_serves(seen.evidence)
        state.lived_until = lived_again(seen.evidence, seen.at, state.known) or state.lived_until
        return LastLook(
            seen=seen,
            known=state.known,
            quorum=self._plan.detection.quorum,
            by_a_person=self._run.trigger == "operator",
            accepted=frozenset(accepted),
            maintenance=maintenance,
            loss=None if self._planned or state.accepted_loss else self._loss(),
            data_from=(state.point.holds_until or state.point.taken_at) if state.point else None,
        )

    def _loss(self) -> str | None:
        """The loss, measured on the recovered data: replication may have reported more than it held. A primary that
        lived again while the run waited has taken changes since.
        """
        state, limit = self._state, self._plan.loss_limit
        found = commit_question(self._recovery.commits, state.home_commits, state.outage_began, limit)
        if found is None and state.lived_until and state.point:
            found = loss_question(state.point.holds_until or state.point.taken_at, state.lived_until, limit)
        return found

    def _is_still_true(self, about: Concern) -> Doing[bool]:
        """Whether the reason for the question persists; while that cannot be seen, it does."""
        if about == "maintenance":
            return (yield from maintenance_now(self._work, self._plan, self._state, "while asked")) is not None
        try:
            seen = yield from self._looking.look("while asked")
        except task.TaskFailedError:
            return True
        return doubt(seen.evidence, self._state.known.evidence, self._plan.detection.quorum) == about

    def _confirm_again(self, cause: Doubt, accepted: set[Concern]) -> Doing[None]:
        """Confirms the outage again, after a time in which the primary served or could not be seen. A person may choose
        to cut over although the checks disagree.
        """
        verdict = yield from self._looking.confirm("confirming again")
        agreed = verdict.decision == "confirmed"
        if not agreed and verdict.reason not in ("never_agreed", "recovery_in_trouble"):
            return
        self._state.known = Round(at=self._work.now, evidence=verdict.evidence)
        if agreed and cause == "serves":  # Customers were served meanwhile, so this is another outage.
            self._state.first_down = verdict.first_down_at
        if not agreed and (yield from self._ask(verdict.sentence())):
            accepted.add("unclear")

    def _ask(
        self, text: str, lapses_at: datetime | None = None, still_true: Callable[[], Doing[bool]] | None = None
    ) -> Doing[bool]:
        """Only a person may answer; a timeout never chooses."""
        choices = "`abort` keeps traffic on the primary and deletes the recovery resources; `proceed` cuts over."
        question = Question(
            f"{text} {choices}",
            Phase.VERIFYING,
            answer="proceed",
            has_default=False,
            lapses_at=lapses_at,
            still_true=still_true,
        )
        return (yield from ask(self._work, self._plan, question))
