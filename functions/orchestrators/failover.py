"""The failover orchestrator: confirm, recover, verify, cut over, latch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import azure.durable_functions as df
from durabletask import task

from functions.activities.evidence import MaintenanceOrder, check_maintenance
from functions.activities.run_record import Claim
from functions.stages import fencing, replica
from functions.stages.approval import ask
from functions.stages.cleanup import clear_away
from functions.stages.confirm import OutageConfirmation
from functions.stages.cutover import Cutover
from functions.stages.fencing import PlannedStop
from functions.stages.rebuild import Rebuild
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import Ended, ProblemError, reason
from functions.workflow.lifecycle import next_look, run_lifecycle, seconds_between
from functions.workflow.questions import hold, until_done
from shared.models.evidence import Round, Verdict
from shared.models.operations import PointInTime
from shared.models.plan import RecoveryPlan
from shared.models.replica import ReplicaState
from shared.models.runs import Outcome, Phase, RunInput
from shared.policy.loss import commit_question, loss_question, spoken_moment
from shared.policy.maintenance import Maintenance
from shared.policy.outage import Doubt, doubt, lived_again, primary_serves

bp = df.Blueprint()

_AGAINST: dict[Doubt, str] = {
    "serves": "The primary site serves.",
    "blind": "Coldsite itself is cut off: its control check fails, so it cannot see whether the primary site serves.",
    "partial": "A partial outage now: the private path reaches the primary site again, so a person must decide.",
}
"""What speaks against moving the customers, as people are told."""


@bp.orchestration_trigger(context_name="context")
def failover(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Moves the customers to the recovery site, once it is proven that they must and can be moved.

    1. Claim the plan's lock.
    2. Gather evidence until it has agreed for ``confirm_for``, and decide. A run that a person started brings its
       one pass of evidence along.
    3. End in observe mode and during maintenance; wait for a person in approve mode, while automatic is not yet
       trusted, on a veto, and for a second person where the plan asks for four eyes.
    4. Fence the source, freeze the replica, take one set of all its disks, or choose an older set. A planned failover
       stops the source's writes first, and waits until all of them have arrived.
    5. Ask a person when the data are older than the plan's ``loss_limit``, unless a person has accepted that already.
    6. Recover the workloads, each as soon as what it depends on allows.
    7. Verify the site as a whole at its public address.
    8. Probe the primary once more, then cut over: enable recovery, read it back, disable the primary, read both back,
       ask DNS.
    9. Measure, seal, tell, give the plan back.
    """
    run = RunInput.model_validate(data)
    work = RunContext(ctx, run.run, run.plan.recovery)
    story = _Failover(work, run)
    return (yield from run_lifecycle(work, run, story.body, story.clear))


class _Failover:
    def __init__(self, work: RunContext, run: RunInput) -> None:
        self._work = work
        self._run = run
        self._plan: RecoveryPlan = run.plan
        self._looking = OutageConfirmation(work, run)
        self._cutover = Cutover(work, run.plan, self._looking)
        self._recovery = Rebuild(work, run.plan, "failover", may_get_room=run.preempted)
        self._point: PointInTime | None = None
        self._freezing: datetime | None = None
        self._sets = 0
        self._serves = False
        self._lived_until: datetime | None = None
        self._first_down: datetime | None = None
        self._known = Round(at=run.requested_at, evidence=[])
        """What had been seen when it was decided to fail over."""
        self._by_itself = run.trigger in ("alert", "watch")
        self._approval: dict[str, str] = {}
        self._unanswered = False
        self._data_until: datetime | None = None
        self._home_commits: dict[str, datetime] = {}
        self._accepted_loss = run.trigger == "operator"
        """Whether a person has accepted the age of the data, or gave the order knowing it."""
        self._planned = PlannedStop(work, run) if run.mode == "planned" else None
        self._fenced = False
        if self._planned:  # Whoever waits keeps the shop from taking orders, so silence does not wait for ever.
            work.after_hold = "abort"

    def body(self, claim: Claim) -> Doing[Ended]:
        work, plan = self._work, self._plan
        verdict = yield from self._looking.decide()
        self._first_down = verdict.first_down_at
        self._known = Round(at=work.now, evidence=verdict.evidence)
        self._data_until, self._home_commits = claim.data_until, claim.home_commits
        yield from self._permission(verdict, claim)
        yield from self._go_on_recovering()
        yield from until_done(work, plan, Phase.RECOVERING, self._choose_point)
        yield from self._accept_loss()
        yield from until_done(work, plan, Phase.RECOVERING, self._build)
        yield from work.record_now(phase=Phase.VERIFYING)
        while True:
            yield from until_done(work, plan, Phase.VERIFYING, self._prove)
            yield from work.begin_cutover()
            moved = yield from until_done(work, plan, Phase.CUTTING_OVER, self._cutover.move)
            if isinstance(moved, datetime):
                yield from self._look_behind()
                return self._succeeded(moved)
            yield from work.step_back()
            if moved:
                yield from hold(work, plan, Phase.VERIFYING, moved)
            elif self._cutover.put_off:
                yield from work.sleep(self._cutover.put_off)

    def clear(self, by: str, keep_point: bool) -> Doing[list[str]]:
        """Ends what still runs, resumes the source's writes and replication, removes what was built; trouble with one
        stops none.
        """
        yield from self._recovery.stop(by)
        serving = yield from self._cutover.may_serve()
        stopped = (yield from fencing.resume_or_say(self._work, self._plan)) if self._fenced and not serving else None
        problem: str | None = None
        if self._freezing:
            problem = yield from replica.thaw_or_say(self._work, self._plan, self._freezing)
        left = [serving] if serving else (yield from clear_away(self._work, self._plan, keep_snapshots=keep_point))
        return [*left, *filter(None, (stopped, problem))]

    # 3. Permission

    def _permission(self, verdict: Verdict, claim: Claim) -> Doing[None]:
        detection, mode = self._plan.detection, self._run.mode
        if verdict.decision == "stand_down":
            well_at = self._looking.looked_at if verdict.reason == "healthy" else None
            raise Ended(Outcome.STOOD_DOWN, verdict.sentence(), cooldown=detection.cooldown, well_at=well_at)
        if mode == "observe":
            said = "Observed only: the plan is in observe mode."
            raise Ended(
                Outcome.OBSERVED, f"{said} {next_look(self._work, detection.cooldown)}", cooldown=detection.cooldown
            )
        yield from self._only_observe_during_maintenance()
        question = None
        if verdict.decision == "ask":
            question = verdict.sentence()
        elif detection.approval.four_eyes and self._run.trigger == "operator":
            question = f"{self._run.person} started this failover, and the plan asks for a second person."
        elif mode == "approve":
            question = f"The plan asks for approval. {verdict.sentence()}"
        elif mode == "automatic" and claim.must_ask:
            question = claim.must_ask
        if question:
            yield from self._ask(self._with_loss(question), proceeds=detection.approval.then == "proceed")

    def _maintenance(self, moment: str) -> Doing[Maintenance | None]:
        """Only what nobody asked for must wait for the end of the maintenance."""
        if not self._by_itself:
            return None
        order = MaintenanceOrder(run=self._work.run, target=moment, windows=self._plan.pause)
        while True:
            try:
                return (yield from self._work.do(check_maintenance, order)).maintenance
            except task.TaskFailedError:
                yield from self._work.sleep(self._plan.recovery.retry_after * 30)

    def _only_observe_during_maintenance(self) -> Doing[None]:
        found = yield from self._maintenance("decided")
        if found:
            left = max(timedelta(0), found.until - self._work.now)
            wait = min(left, self._plan.detection.cooldown)
            raise Ended(Outcome.OBSERVED, f"Observed only. {found.because}", cooldown=wait)

    def _ask(self, question: str, *, proceeds: bool, clears: bool = False) -> Doing[None]:
        """Asks for approval; the yes covers the loss that the question names."""
        watch = self._only_observe_during_maintenance
        by = yield from ask(self._work, self._plan, question, watch if proceeds else None, clears=clears)
        if by is None:
            self._unanswered = True
            return
        self._by_itself = False
        self._accepted_loss = self._accepted_loss or self._is_told_of_loss(question)
        self._approval = {"approved_by": by}

    # 5. Data that are too old

    def _loss(self) -> str | None:
        """What is wrong with the age of the data, as far as is known by now."""
        until = self._point.holds_until if self._point else self._data_until
        return loss_question(until, self._first_down or self._run.requested_at, self._plan.loss_limit)

    def _with_loss(self, question: str) -> str:
        """A question about failing over says from when the data are, when they are too old: the yes covers that."""
        found = self._loss()
        return f"{question} {found}" if found else question

    def _is_told_of_loss(self, question: str) -> bool:
        found = self._loss()
        return found is not None and found in question

    def _accept_loss(self) -> Doing[None]:
        """Automatic never moves customers to data older than the plan's limit unasked, and silence is no yes."""
        found = self._loss()
        if found and not self._accepted_loss:
            yield from self._ask(
                f"The primary site is unreachable, but the data are old. {found}", proceeds=False, clears=True
            )
            yield from self._go_on_recovering()

    def _go_on_recovering(self) -> Doing[None]:
        yield from self._work.record_now(
            phase=Phase.RECOVERING, waiting_for=None, answers=[], waiting_until=None, **self._approval
        )

    # 4 and 5. Freeze, take a set, recover

    def _choose_point(self) -> Doing[None]:
        if self._point is None:
            if self._planned:
                self._fenced = True
                self._work.notice = "The primary's writes are stopped until this is answered; abort resumes them. "
                yield from self._planned.stop_writes()
            self._point = yield from self._take_point()

    def _build(self) -> Doing[None]:
        assert self._point is not None
        yield from self._recovery.recover(self._point)

    def _take_point(self) -> Doing[PointInTime]:
        work, plan = self._work, self._plan
        self._sets += 1
        if plan.fence and not self._planned:
            self._fenced = True
            yield from fencing.stop(work, plan.fence, self._sets)
        wanted = self._run.recovery_point
        if wanted == "latest":
            try:
                state = yield from self._freeze()
            except replica.NotTheHolderError:
                raise
            except (ProblemError, task.TaskFailedError) as problem:
                if (point := (yield from self._point_within_the_limit())) is not None:
                    self._tell_not_frozen(problem)
                    return point
                said = f"{reason(problem)} Or abort, and start a failover with the recovery point latest_good."
                raise ProblemError(said) from None
            if self._planned and (state is None or state.not_copyable):
                raise ProblemError("The replica cannot be used now, and an older recovery point would lose changes.")
            return (
                yield from replica.recovery_point(
                    work, plan, wanted, state, self._sets, self._freezing, data_until=self._data_until
                )
            )
        point = yield from replica.recovery_point(work, plan, wanted, None, self._sets)
        try:
            yield from self._freeze()
        except (ProblemError, task.TaskFailedError) as problem:  # An older set does not need the replication machine.
            self._tell_not_frozen(problem)
        return point

    def _tell_not_frozen(self, problem: Exception) -> None:
        """The failover goes on with an older point; what the primary still sends overwrites the replica meanwhile."""
        said = f"{reason(problem)} The failover goes on with a recovery point that exists."
        self._work.tell(self._plan.notify, "needs_operator", f"{self._plan.title}: the replica is not frozen", said)

    def _point_within_the_limit(self) -> Doing[PointInTime | None]:
        """The newest set on record, for a replica that cannot be frozen, where it loses no more than the plan accepts
        unasked.
        """
        if self._planned:
            return None
        oldest = (self._first_down or self._run.requested_at) - self._plan.loss_limit
        try:
            return (
                yield from replica.recovery_point(
                    self._work,
                    self._plan,
                    "latest",
                    None,
                    self._sets,
                    not_frozen="it could not be frozen",
                    holds_at_least=oldest,
                )
            )
        except ProblemError:
            return None

    def _freeze(self) -> Doing[ReplicaState | None]:
        self._freezing = self._work.now
        return (yield from replica.freeze(self._work, self._plan, self._freezing))

    # 6. Verify

    def _prove(self) -> Doing[None]:
        """The recovery site serves, and nothing has come up that speaks against moving the customers there.

        A person must choose when the primary serves again, is reached again by the private path, or cannot be seen: two
        sites with different data are worse than one. Silence never chooses. An answer is to one question only; after
        it the recovery site is verified once more, since time has passed. A question lapses when it is no longer so;
        then, as whenever the checks no longer agree, the outage is confirmed once more. A run that a person started
        needs no confirmation. What maintenance asks lapses when the maintenance ends. A planned failover needs proof
        instead that nothing is lost.
        """
        acknowledged = self._run.acknowledge_primary_healthy and not self._is_old()
        accepted: set[Doubt] = {"serves"} if acknowledged or self._planned else set()
        may_be_worked_on = False
        while True:
            yield from self._cutover.verify()
            seen = yield from self._looking.look("before cutover")
            yield from self._work.record(last_look=seen)
            found = yield from self._maintenance("before cutover")
            self._serves = primary_serves(seen.evidence)
            lived = lived_again(seen.evidence, seen.at, self._known)
            self._lived_until = lived or self._lived_until
            against = doubt(seen.evidence, self._known.evidence, self._plan.detection.quorum)
            if lived and not against:  # It is down again, and by one look nobody knows for how long.
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
            elif (lost := self._lost()) and not self._accepted_loss:
                self._accepted_loss = yield from self._choose(lost)
            else:
                return

    @property
    def _newest_commit(self) -> datetime | None:
        """The newest commit that was recovered."""
        return max(self._recovery.commits.values(), default=None)

    def _lost(self) -> str | None:
        """The loss, judged by what was recovered: replication may have said more than it held."""
        outage = self._first_down or self._run.requested_at
        return commit_question(self._recovery.commits, self._home_commits, outage, self._plan.loss_limit)

    def _is_old(self) -> bool:
        """Whether so much time has passed since a person acknowledged a loss that more is lost than that person meant.

        A recovery point that was chosen for its age, from before an attack, say, is as old as it should be.
        """
        goals = self._plan.objectives
        return self._work.now - self._run.requested_at > goals.recovery_time + goals.recovery_point

    def _question(self, against: Doubt) -> str:
        if against != "serves" or self._point is None:
            return _AGAINST[against]
        always = primary_serves(self._known.evidence)
        serves = _AGAINST[against] if always else "The primary site serves again."
        since = self._point.holds_until or self._point.taken_at
        return f"{serves} What it has taken since {spoken_moment(since)} would be lost."

    def _is_maintained(self) -> Doing[bool]:
        return (yield from self._maintenance("while asked")) is not None

    def _stands(self, asked: Doubt) -> Doing[bool]:
        """Whether what a person was asked about is still so; while that cannot be seen, it is."""
        try:
            seen = yield from self._looking.look("while asked")
        except task.TaskFailedError:
            return True
        return doubt(seen.evidence, self._known.evidence, self._plan.detection.quorum) == asked

    def _confirm_anew(self, asked: Doubt) -> Doing[bool]:
        """After a time in which the primary served or could not be seen, what was decided before it counts no more.
        Returns True when a person chose to move the customers without agreement.
        """
        verdict = yield from self._looking.confirm("confirming anew")
        agreed = verdict.decision == "confirmed"
        if not agreed and verdict.reason not in ("never_agreed", "recovery_in_trouble"):
            return False
        self._known = Round(at=self._work.now, evidence=verdict.evidence)
        if agreed:
            if asked == "serves":  # Customers were served meanwhile, so this is another outage.
                self._first_down = verdict.first_down_at
            return False
        return (yield from self._choose(verdict.sentence()))

    def _choose(
        self, question: str, *, until: datetime | None = None, stands: Callable[[], Doing[bool]] | None = None
    ) -> Doing[bool]:
        asked = f"{question} Abort to stay there and clear away, or proceed to move the customers all the same."
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

    # 8. Measure

    def _look_behind(self) -> Doing[None]:
        """While both endpoints were enabled for long, a primary that came back took orders."""
        if not self._cutover.stretched:
            return
        try:
            seen = yield from self._looking.look("after cutover")
        except task.TaskFailedError:
            return
        self._serves = primary_serves(seen.evidence)
        self._lived_until = lived_again(seen.evidence, seen.at, self._known) or self._lived_until

    def _succeeded(self, served_at: datetime) -> Ended:
        began = self._run.requested_at if self._run.trigger == "operator" else self._first_down
        # A primary that served until the end, or lived again, took orders until then.
        outage = max(filter(None, (self._lived_until, self._first_down)), default=self._run.requested_at)
        outage = served_at if self._serves else outage
        asked = "No answer came in time, and the plan says to go on then. " if self._unanswered else ""
        because = asked + (
            "Customers are served from Azure. The business is not protected there; what to do next is in "
            "docs/limits.md, After a real failover."
        )
        self._work.tell(self._plan.notify, "served", f"{self._plan.title}: customers moved", because)
        return Ended(
            Outcome.SUCCEEDED,
            because,
            recovery_time_actual=seconds_between(began, served_at),
            recovery_point_actual=seconds_between(self._newest_commit, outage),
        )
