"""The failover orchestrator: confirm, recover, verify, cut over, latch."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import azure.durable_functions as df
from durabletask import task

from functions.activities.run_record import Claim
from functions.stages import fencing, replica
from functions.stages.before_cutover import BeforeCutover
from functions.stages.cleanup import delete_built
from functions.stages.confirm import OutageConfirmation
from functions.stages.cutover import Blocked, FailoverCutover, Moved, TryAgain
from functions.stages.failover_state import FailoverState
from functions.stages.fencing import PlannedStop
from functions.stages.hooks import PlanHooks
from functions.stages.permission import Permission
from functions.stages.preparation import Preparation
from functions.stages.recover_workloads import WorkloadsRecovery
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import AnotherPoint, EndRun, NeedsOperator, named, reason
from functions.workflow.lifecycle import run_lifecycle, seconds_between
from functions.workflow.questions import Question, ask, until_done
from shared.models.evidence import Round
from shared.models.operations import PointInTime
from shared.models.plan import RecoveryPlan
from shared.models.replica import ReplicaState
from shared.models.runs import CutoverState, Outcome, Phase, RunInput
from shared.policy.outage import lived_again, primary_serves

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def failover(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Moves the customers to the recovery site, once the outage and the recovery site are proven.

    1. Claim the plan's lock.
    2. Gather evidence until it has agreed for ``confirm_for``, and decide. A run that a person started carries its
       one pass of evidence. Beside it, ``prepare_recovery`` freezes the replica, takes the set and makes the disks.
    3. End in observe mode and during maintenance; wait for approval in approve mode, while automatic is not yet
       trusted, on a veto, and by a second person where the plan asks for four eyes.
    4. Unless prepared: fence the source, freeze the replica, take one set of all its disks, or choose an older set. A
       planned failover stops the source's writes first, and waits until all of them have arrived.
    5. Ask for approval when the data are older than the plan's ``loss_limit``, unless that is accepted already.
    6. Recover the workloads, each as soon as its dependencies allow.
    7. Verify the site as a whole at its public address.
    8. Probe the primary again, then cut over: enable recovery, read it back, disable the primary, read both back,
       check DNS.
    9. Measure, write the document, notify, release the plan.
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
        self._state = FailoverState.of(run)
        self._preparation = Preparation(work, run, self._state)
        self._looking = OutageConfirmation(work, run, self._preparation.after_round)
        self._permission = Permission(work, run, self._state, self._looking)
        self._cutover = FailoverCutover(work, run.plan, self._looking)
        self._recovery = WorkloadsRecovery(work, run.plan, "failover", may_get_room=run.preempted)
        self._planned = PlannedStop(work, run) if run.mode == "planned" else None
        self._hooks = PlanHooks(work, run.plan)
        self._before_cutover = BeforeCutover(
            work, run, self._state, self._looking, self._cutover, self._recovery, self._planned, self._hooks
        )
        if self._planned:  # The shop takes no orders during the wait, so a question without an answer must end.
            work.after_hold = "abort"

    def body(self, claim: Claim) -> Doing[EndRun]:
        work, state = self._work, self._state
        self._preparation.allow(claim)
        verdict = yield from self._looking.decide()
        if not primary_serves(verdict.evidence):
            state.first_down = min(filter(None, (verdict.first_down_at, claim.down_since)), default=None)
        state.known = Round(at=work.now, evidence=verdict.evidence)
        state.data_until, state.home_commits = claim.data_until, claim.home_commits
        try:
            yield from self._permission.obtain(verdict, claim)
        except EndRun as early:
            raise (yield from self._preparation.undo_and_end(early)) from None
        while True:
            try:
                return (yield from self._recover())
            except AnotherPoint as another:
                yield from self._start_over(another.point)

    def _recover(self) -> Doing[EndRun]:
        work, plan = self._work, self._plan
        yield from until_done(work, plan, Phase.RECOVERING, self._choose_point)
        yield from self._permission.accept_loss()
        yield from until_done(
            work, plan, Phase.RECOVERING, lambda: self._hooks.consult("before_build", Phase.RECOVERING)
        )
        yield from until_done(work, plan, Phase.RECOVERING, self._build)
        yield from work.record_now(phase=Phase.VERIFYING)
        while True:
            yield from until_done(work, plan, Phase.VERIFYING, self._before_cutover.clear_to_move)
            yield from work.begin_cutover()
            match (yield from until_done(work, plan, Phase.CUTTING_OVER, self._cutover.move)):
                case Moved(at):
                    yield from self._look_behind()
                    ending = self._succeeded(at)
                    yield from self._hooks.consult("after_cutover", Phase.CUTTING_OVER)
                    return ending
                case Blocked(problem):
                    yield from work.step_back()
                    yield from ask(work, plan, Question(problem, Phase.VERIFYING))
                case TryAgain(wait):
                    yield from work.step_back()
                    if wait:
                        yield from work.sleep(wait)

    def clear(self, ending: EndRun) -> Doing[list[str]]:
        """Ends what still runs, resumes the source's writes and replication, deletes what was built; an error in one
        does not stop the others. A failed run keeps its recovery point, which may be the last.
        """
        yield from self._preparation.stop(ending.by, preempted=ending.outcome is Outcome.PREEMPTED)
        yield from self._recovery.stop(ending.by)
        serving = yield from self._cutover.may_serve()
        stopped = (
            (yield from fencing.resume_or_say(self._work, self._plan)) if self._state.fenced and not serving else None
        )
        problem: str | None = None
        if self._state.freezing:
            problem = yield from replica.thaw_or_say(self._work, self._plan, self._state.freezing)
        spared = ending.outcome is Outcome.FAILED
        left = [serving] if serving else (yield from delete_built(self._work, self._plan, keep_snapshots=spared))
        return [*left, *filter(None, (stopped, problem))]

    def _start_over(self, point: str) -> Doing[None]:
        """A person chose another recovery point, so the age of its data is accepted. Interfaces and lock are kept."""
        self._state.wanted, self._state.point = point, None
        self._state.accepted_loss, self._state.by_itself = True, False
        yield from self._work.record_now(phase=Phase.RECOVERING)
        yield from self._recovery.stop("another recovery point")
        self._recovery.forget()
        self._hooks.forget()
        yield from until_done(self._work, self._plan, Phase.RECOVERING, self._delete_the_built)

    def _delete_the_built(self) -> Doing[None]:
        left = yield from delete_built(self._work, self._plan, keep_snapshots=True)
        if left:
            raise NeedsOperator(
                f"What was built from the earlier recovery point could not be deleted: {', '.join(named(left))}. "
                "Delete it in the portal, then `retry`."
            )

    # Freeze, take a set, recover

    def _choose_point(self) -> Doing[None]:
        if self._state.point is None:
            if self._planned:
                self._state.fenced = True
                yield from self._planned.stop_writes()
            self._state.point = yield from self._take_point()

    def _build(self) -> Doing[None]:
        assert self._state.point is not None
        yield from self._recovery.recover(self._state.point, disks_ready=self._preparation.disks_ready)

    def _take_point(self) -> Doing[PointInTime]:
        work, plan = self._work, self._plan
        self._state.sets += 1
        if plan.fence and not self._planned:
            self._state.fenced = True
            yield from fencing.stop(work, plan.fence, self._state.sets)
        wanted = self._state.wanted
        if wanted == "latest":
            if (prepared := (yield from self._preparation.take(self._looking.looked_at))) is not None:
                because = "A fresh recovery point, taken while the outage was being confirmed."
                yield from replica.note_point(work, prepared, because)
                return prepared
            try:
                state = yield from self._freeze(self._preparation.busy_limit())
            except replica.NotTheHolder:
                raise
            except (NeedsOperator, task.TaskFailedError) as problem:
                if (point := (yield from self._point_within_the_limit())) is not None:
                    self._tell_not_frozen(problem)
                    return point
                message = f"{reason(problem)} Or `retry` with --recovery-point latest_good."
                raise NeedsOperator(message) from None
            if self._planned and (state is None or state.not_copyable):
                raise NeedsOperator("The replica is not usable now, and an older recovery point would lose changes.")
            return (
                yield from replica.recovery_point(
                    work, plan, wanted, state, self._state.sets, self._state.freezing, data_until=self._state.data_until
                )
            )
        point = yield from replica.recovery_point(work, plan, wanted, None, self._state.sets)
        try:
            yield from self._freeze()
        except (NeedsOperator, task.TaskFailedError) as problem:  # An older set does not need the replication machine.
            self._tell_not_frozen(problem)
        return point

    def _tell_not_frozen(self, problem: Exception) -> None:
        """The failover continues with an older point; what the primary still sends overwrites the replica meanwhile."""
        message = f"{reason(problem)} The failover continues with an existing recovery point."
        self._work.tell(self._plan.notify, "needs_operator", f"{self._plan.title}: replica not frozen", message)

    def _point_within_the_limit(self) -> Doing[PointInTime | None]:
        """The newest set on record, for a replica that cannot be frozen, where the loss is within the plan's
        ``loss_limit``.
        """
        if self._planned:
            return None
        oldest = self._state.outage_began - self._plan.loss_limit
        try:
            return (
                yield from replica.recovery_point(
                    self._work,
                    self._plan,
                    "latest",
                    None,
                    self._state.sets,
                    not_frozen="it could not be frozen",
                    holds_at_least=oldest,
                )
            )
        except NeedsOperator:
            return None

    def _freeze(self, busy_limit: timedelta | None = None) -> Doing[ReplicaState | None]:
        self._state.freezing = self._work.now
        return (yield from replica.freeze(self._work, self._plan, self._state.freezing, busy_limit=busy_limit))

    # Measure

    def _look_behind(self) -> Doing[None]:
        """A primary that came back took orders while both endpoints were enabled."""
        if not self._cutover.stretched:
            return
        try:
            seen = yield from self._looking.look("after cutover")
        except task.TaskFailedError:
            return
        self._state.serves = primary_serves(seen.evidence)
        self._state.lived_until = lived_again(seen.evidence, seen.at, self._state.known) or self._state.lived_until

    def _succeeded(self, served_at: datetime) -> EndRun:
        ordered = self._run.requested_at
        # A primary that served until the end, or came back, took orders until then.
        outage = max(filter(None, (self._state.lived_until, self._state.first_down)), default=ordered)
        began = self._state.first_down if self._run.trigger != "operator" else min(ordered, outage)
        outage = served_at if self._state.serves else outage
        if self._planned:  # Its writes had stopped, and the newest of them was recovered.
            began, outage = ordered, self._planned.newest
        default = "No response before the deadline; proceeded as the plan says (approval.then: proceed). "
        asked = default if self._state.unanswered else ""
        because = asked + (
            "Customers are served from Azure. The business is not protected there; for the next steps see "
            "docs/limits.md, After a real failover."
        )
        self._work.tell(self._plan.notify, "served", f"{self._plan.title}: cutover complete", because)
        newest_commit = max(self._recovery.commits.values(), default=None)
        return EndRun(
            Outcome.SUCCEEDED,
            because,
            cutover=CutoverState.MOVED,
            recovery_time_actual=seconds_between(began, served_at),
            recovered_until=newest_commit,
            recovery_point_actual=seconds_between(newest_commit, outage),
        )
