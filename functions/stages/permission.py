"""Whether a failover may proceed: the plan's mode, maintenance, approval, and the age of the data."""

from __future__ import annotations

from datetime import timedelta

from functions.activities.run_record import Claim
from functions.stages.approval import ask_approval
from functions.stages.confirm import OutageConfirmation
from functions.stages.failover_state import FailoverState
from functions.stages.maintenance import maintenance_now
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import EndRun
from functions.workflow.lifecycle import next_look
from shared.models.durations import spoken, spoken_moment
from shared.models.runs import Outcome, Phase, RunInput
from shared.models.verdict import Verdict
from shared.policy.loss import loss_question
from shared.policy.timeline import expected_duration


class Permission:
    """Checked after the decision, and again when the age of the data is known."""

    def __init__(self, work: RunContext, run: RunInput, state: FailoverState, looking: OutageConfirmation) -> None:
        self._work = work
        self._run = run
        self._plan = run.plan
        self._state = state
        self._looking = looking

    def obtain(self, verdict: Verdict, claim: Claim) -> Doing[None]:
        """Returns when the failover may proceed. Raises ``EndRun`` when it may not."""
        detection, mode = self._plan.detection, self._run.mode
        if verdict.decision == "stand_down":
            well_at = self._looking.looked_at if verdict.reason == "healthy" else None
            raise EndRun(Outcome.STOOD_DOWN, verdict.sentence(), cooldown=detection.cooldown, well_at=well_at)
        if mode == "observe":
            message = "Observed only: the plan is in observe mode."
            raise EndRun(
                Outcome.OBSERVED, f"{message} {next_look(self._work, detection.cooldown)}", cooldown=detection.cooldown
            )
        yield from self._only_observe_during_maintenance()
        question = None
        if verdict.decision == "ask":
            question = verdict.sentence()
        elif detection.approval.four_eyes and self._run.trigger == "operator":
            question = f"{self._run.person} started this failover, and the plan requires approval by a second person."
        elif mode == "approve":
            question = f"The plan requires approval. {verdict.sentence()}"
        elif mode == "automatic" and claim.must_ask:
            question = claim.must_ask
        if question:
            yield from self._ask(self._with_loss(question), proceeds=detection.approval.then == "proceed")
        yield from self._go_on_recovering()

    def accept_loss(self) -> Doing[None]:
        """Automatic never cuts over to data older than the plan's limit without approval; a timeout never approves."""
        found = self._loss()
        if found and not self._state.accepted_loss:
            yield from self._ask(
                f"The primary site is unreachable, but the data are old. {found}", proceeds=False, clean_up=True
            )
            yield from self._go_on_recovering()

    def _only_observe_during_maintenance(self) -> Doing[None]:
        found = yield from maintenance_now(self._work, self._plan, self._state, "decided")
        if found:
            left = max(timedelta(0), found.until - self._work.now)
            wait = min(left, self._plan.detection.cooldown)
            raise EndRun(Outcome.OBSERVED, f"Observed only. {found.because}", cooldown=wait)

    def _ask(self, question: str, *, proceeds: bool, clean_up: bool = False) -> Doing[None]:
        """Asks for approval; it covers the loss that the question names."""
        watch = self._only_observe_during_maintenance
        by = yield from ask_approval(
            self._work,
            self._plan,
            question,
            watch if proceeds else None,
            clean_up=clean_up,
            expects=self._expects(),
        )
        if by is None:
            self._state.unanswered = True
            return
        self._state.by_itself = False
        self._state.accepted_loss = self._state.accepted_loss or self._is_told_of_loss(question)
        self._state.approved_by = by

    def _expects(self) -> str:
        """How long it takes after a yes, and from when the data are: what a person needs to know on a lock screen."""
        takes = spoken(expected_duration(self._plan).total_seconds())
        until = self._state.holds_until
        data = f"with data up to at least {spoken_moment(until)}" if until else "with data of unknown age"
        return f"If you approve, customers should be served from Azure within {takes}, {data}."

    def _loss(self) -> str | None:
        """The problem with the age of the data, as far as known by now."""
        return loss_question(self._state.holds_until, self._state.outage_began, self._plan.loss_limit)

    def _with_loss(self, question: str) -> str:
        """Adds the age of the data to the question when they are too old: approval then covers it."""
        found = self._loss()
        return f"{question} {found}" if found else question

    def _is_told_of_loss(self, question: str) -> bool:
        found = self._loss()
        return found is not None and found in question

    def _go_on_recovering(self) -> Doing[None]:
        approval = {"approved_by": self._state.approved_by} if self._state.approved_by else {}
        yield from self._work.record_now(
            phase=Phase.RECOVERING, waiting_for=None, answers=[], waiting_until=None, **approval
        )
