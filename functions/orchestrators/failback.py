"""The failback orchestrator: prove home, stop writes, copy the rest, cut back, watch, commit."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import azure.durable_functions as df
from durabletask import task

from functions.activities.home import HomeNoteOrder, note_home, prove_home
from functions.activities.probes import ProbeOrder
from functions.activities.run_record import Claim
from functions.stages.approval import ask_approval
from functions.stages.cutover import Blocked, Moved, TryAgain
from functions.stages.failback_cutover import FailbackCutover
from functions.stages.home_check import HomeCheck
from functions.stages.write_stop import WriteStop
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import EndRun, NeedsOperator, reason
from functions.workflow.lifecycle import insist_on, run_lifecycle
from functions.workflow.questions import Question, ask, await_commit, until_done
from shared.models.home import HomeLook
from shared.models.plan import RecoveryPlan
from shared.models.runs import CutoverState, Outcome, Phase, RunInput
from shared.policy.failback import sign_off

bp = df.Blueprint()
_TOO_LONG = "The writes in Azure were stopped for longer than failback.sync_timeout. Find the slow step, then `retry`."


@bp.orchestration_trigger(context_name="context")
def failback(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Moves the customers home, with nothing lost, or leaves Azure serving as before.

    1. Claim the plan's lock.
    2. Check home: its databases can be read, and take no writes of their own.
    3. Wait until the copy, which a person or Double-Take runs, has brought nearly everything home. A rehearsal ends
       here.
    4. Ask for the signature under what was found; where the plan asks for four eyes, of a second person. Wait for the
       moment that was asked for, and look again.
    5. Stop the writes in Azure, and read back that SQL Server refuses them.
    6. Copy what is still missing, until both sites hold the same newest change.
    7. Prove home, directly and before any customer is there.
    8. Cut back: enable the primary, read it back, disable recovery, read both back, check DNS.
    9. Watch home, then wait for ``commit``.
    10. Write the document, notify, release the plan.

    Whatever goes wrong between 5 and 8 lets Azure take writes again before anything is asked. From 8 on there is no way
    back: home may have taken a write that Azure does not have.
    """
    run = RunInput.model_validate(data)
    work = RunContext(ctx, run.run, run.plan.recovery)
    story = _Failback(work, run)
    return (yield from run_lifecycle(work, run, story.body, story.clear))


class _Failback:
    def __init__(self, work: RunContext, run: RunInput) -> None:
        self._work = work
        self._run = run
        self._plan: RecoveryPlan = run.plan
        self._check = HomeCheck(work, run)
        self._stop = WriteStop(work, run, self._check)
        self._cutover = FailbackCutover(work, run.plan, self._check, self._stop)
        work.after_hold = "abort"  # Azure serves meanwhile; an unanswered run must not hold the plan.

    def body(self, claim: Claim) -> Doing[EndRun]:
        work, plan = self._work, self._plan
        yield from until_done(work, plan, Phase.CHECKING_HOME, self._check.require_quarantine)
        yield from work.record_now(phase=Phase.SYNCING)
        ready = yield from until_done(work, plan, Phase.SYNCING, self._check.until_ready)
        yield from work.record_now(phase=Phase.READY)
        if self._run.rehearse:
            return EndRun(Outcome.SUCCEEDED, f"Rehearsal: home is ready. {self._shown(ready)}")
        if plan.failback.sign_off == "required":
            question = self._shown(ready)
            hold = plan.recovery.hold_for
            by = yield from ask_approval(work, plan, question, None, clean_up=False, deadline=hold)
            signed: dict[str, Any] = {"waiting_for": None, "answers": [], "waiting_until": None, "approved_by": by}
            yield from work.record_now(phase=Phase.READY, **signed)
        if self._run.not_before and self._run.not_before > work.now:
            yield from work.sleep(self._run.not_before - work.now)
        moved = yield from until_done(work, plan, Phase.READY, self._move)
        yield from self._watch(moved)
        order = HomeNoteOrder(
            run=work.run, target="home", serving=self._run.serving, retire_after=plan.failback.retire_after
        )
        yield from insist_on(work, note_home, order)
        because = (
            "Customers are served from the primary site. It is not protected until replication to Azure is healthy "
            "again and a recovery point was taken; until a drill has succeeded, automatic mode requires approval."
        )
        return EndRun(Outcome.SUCCEEDED, because, well_at=work.now)

    def _shown(self, ready: HomeLook) -> str:
        return sign_off(ready, self._plan.failback, pages=any(probe.http for probe in self._plan.home_probes))

    def clear(self, _: EndRun) -> Doing[list[str]]:
        """The undo: Azure takes writes again. Nothing was built that could be deleted."""
        problem = yield from self._stop.undo()
        return [problem] if problem else []

    # The time in which neither site takes writes

    def _move(self) -> Doing[datetime]:
        """When customers are home. Before the cutover begins, any problem is undone first and asked about then."""
        work, terms = self._work, self._plan.failback
        yield from self._check.still_ready()
        try:
            yield from work.within(terms.sync_timeout, _TOO_LONG, self._stop_and_prove())
            while True:
                moved = yield from self._move_home()
                if moved is not None:
                    return moved
        except EndRun:
            raise
        except Exception as problem:
            if work.cutover.is_committed:
                raise
            text = reason(problem) if str(problem) != _TOO_LONG else f"{_TOO_LONG} {self._stop.missing}".strip()
        began = work.now
        while (still := (yield from self._stop.undo())) is not None:
            pause = work.pause_since(began)
            yield from ask(work, self._plan, Question(f"{text} {still}.", Phase.READY, lapses_at=work.now + pause))
        raise NeedsOperator(f"{text} Azure takes orders as before.")

    def _stop_and_prove(self) -> Doing[None]:
        yield from self._stop.stop()
        yield from self._stop.sync()
        yield from self._stop.prove()

    def _move_home(self) -> Doing[datetime | None]:
        """When customers are home; None when the sites must be looked at again first."""
        work, plan = self._work, self._plan
        yield from work.begin_cutover(Phase.CUTTING_BACK)
        match (yield from until_done(work, plan, Phase.CUTTING_BACK, self._cutover.move)):
            case Moved(at):
                work.cutover = CutoverState.MOVED
                return at
            case Blocked(problem):
                yield from work.step_back(Phase.PROVING_HOME)
                raise NeedsOperator(problem)
            case TryAgain(wait):
                yield from work.step_back(Phase.PROVING_HOME)
                if work.now - self._stop.began > plan.failback.sync_timeout:
                    raise NeedsOperator(_TOO_LONG)
                if wait:
                    yield from work.sleep(wait)
                yield from self._stop.verify()
                return None

    def _watch(self, moved: datetime) -> Doing[None]:
        """Watches home for ``watch_for``, then until a person commits. A home that fails is told at once."""
        work, plan = self._work, self._plan
        yield from work.record_now(phase=Phase.WATCHING, cutover=CutoverState.MOVED)
        until = moved + plan.failback.watch_for
        text = f"Home is watched until {until:%H:%M} UTC; then `commit` is due."
        work.tell(plan.notify, "served", f"{plan.title}: customers are home", text)
        yield from await_commit(work, plan, until, self._home_serves)

    def _home_serves(self, looks: int, began: datetime) -> Doing[str | None]:
        """Why home does not serve; None when it does."""
        order = ProbeOrder(
            run=self._work.run, target="watching", attempt=looks, began_at=began, probes=self._plan.home_probes
        )
        try:
            seen = yield from self._work.do(prove_home, order)
            both = yield from self._check.look("watching")
        except task.TaskFailedError:  # The history's storage is away, which says nothing of home.
            return None
        if not seen.healthy:
            return seen.detail
        return f"it takes no orders ({'; '.join(both.closed_at_home)})" if both.closed_at_home else None
