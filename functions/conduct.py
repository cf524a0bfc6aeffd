"""How every run begins and ends: claim, do the work, clear away where it must be, seal, tell, give the plan back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

from durabletask import task

from functions import bookkeeping
from functions.bookkeeping import Claim
from functions.step import Step
from functions.work import AbortedError, Doing, HopelessError, ProblemError, Work, plain
from shared import names
from shared.plan import RecoveryPlan
from shared.runs import Order, Outcome, Phase, RunInput

_OUTCOME_WORDS = {
    Outcome.STOOD_DOWN: "ended: false alarm",
    Outcome.OBSERVED: "only observed",
    Outcome.PREEMPTED: "interrupted",
}
FIND_THE_CAUSE = "Find the cause in the run's steps, then retry."


class Ended(Exception):  # noqa: N818 (an ending, not an error)
    """The run is over with this outcome; ``facts`` go to its row, ``because`` to people.

    ``well_at`` is when the primary was seen to be well: alerts that fired before are no longer open. ``clears``: what
    was begun is cleared away first.
    """

    def __init__(
        self,
        outcome: Outcome,
        because: str,
        cooldown: timedelta | None = None,
        *,
        well_at: datetime | None = None,
        clears: bool = False,
        **facts: Any,
    ) -> None:
        self.outcome = outcome
        self.because = because
        self.cooldown = cooldown
        self.well_at = well_at
        self.clears = clears
        self.facts = facts
        super().__init__(because)


def conduct(
    work: Work,
    run: RunInput,
    body: Callable[[Claim], Doing[Ended]],
    clear: Callable[[str, bool], Doing[list[str]]],
) -> Doing[dict[str, Any]]:
    """Runs ``body`` between claim and release.

    ``clear`` removes what was built when the run is aborted or fails, and returns what is left; its second argument
    spares the recovery point. After either, the next look waits for the cooldown. An error that nobody foresaw ends the
    run in the same way, rather than leaving the plan locked.
    """
    plan, work.kind = run.plan, run.kind
    work.abortable = False
    claim = yield from work.do(bookkeeping.claim_run, bookkeeping.ClaimOrder(run=run.run, trust=plan.detection.trust))
    work.abortable = True
    if not claim.claimed:
        return {"run_id": run.run.run_id, "ignored": claim.because}
    work.tell(plan.notify, "started", f"{plan.title}: {_begins(run)}", f"Why: {run.reason}.")
    try:
        ended = yield from body(claim)
    except Ended as early:
        ended = early
        if early.clears:
            ended = yield from _cleared(work, run, clear, early.outcome, early.because, early.because)
    except AbortedError as aborted:
        outcome = Outcome.PREEMPTED if aborted.preempted else Outcome.ABORTED
        ended = yield from _cleared(work, run, clear, outcome, aborted.by, f"Ended by {aborted.by}.")
    except Exception as error:  # noqa: BLE001 (a run must never leave its plan locked and its machines unattended)
        if work.committed:
            said = f"Customers were moved, but the run could not finish its books: {reason(error)}"
            return (yield from _end(work, plan, run.kind, Ended(Outcome.SUCCEEDED, said)))
        ended = yield from _cleared(work, run, clear, Outcome.FAILED, "its own failure", reason(error))
    return (yield from _end(work, plan, run.kind, ended))


def _begins(run: RunInput) -> str:
    """What begins, in a title: a check of the primary is no failover yet, and a drill is named as one."""
    if run.kind == "drill":
        return "drill started"
    return "failover started" if run.trigger == "operator" else "checking the primary site"


def _cleared(
    work: Work,
    run: RunInput,
    clear: Callable[[str, bool], Doing[list[str]]],
    outcome: Outcome,
    by: str,
    because: str,
) -> Doing[Ended]:
    """Clears away and ends. What failed keeps its recovery point, which may be the last one there is."""
    work.abortable = False
    yield from work.record_now(phase=Phase.CLEANING_UP)
    try:
        left = yield from clear(by, outcome is Outcome.FAILED)
    except (ProblemError, task.TaskFailedError) as error:
        left = [reason(error)]
    if unsaid := [one for one in left if one not in because]:
        because = f"{because} Not everything could be cleared away: {', '.join(told(unsaid))}."
    cooldown = run.plan.detection.cooldown if run.kind == "failover" else None
    if cooldown:
        because = f"{because} {next_look(work, cooldown)}"
    return Ended(outcome, because, cooldown=cooldown)


def next_look(work: Work, cooldown: timedelta) -> str:
    """When Coldsite looks at the primary again by itself, as a sentence."""
    return f"Coldsite looks again at {work.now + cooldown:%H:%M} UTC, or as soon as another check turns bad."


def _end(work: Work, plan: RecoveryPlan, kind: str, ended: Ended) -> Doing[dict[str, Any]]:
    work.abortable = False
    yield from work.settle()
    because = ended.because
    if work.unwritten:
        because = f"{because} Not everything that was seen could be written down: the history was away."
    facts = {
        "outcome": ended.outcome.value,
        "waiting_for": None,
        "answers": [],
        "waiting_until": None,
        "ended_because": because,
        **ended.facts,
    }
    yield from _insist(work, bookkeeping.seal_run, bookkeeping.SealOrder(run=work.run, facts=plain(facts)))
    title = f"{plan.title}: {kind} {_OUTCOME_WORDS.get(ended.outcome, ended.outcome.value)}"
    work.tell(plan.notify, "finished", title, because)
    release = bookkeeping.ReleaseOrder(run=work.run, cooldown=ended.cooldown, well_at=ended.well_at)
    yield from _insist(work, bookkeeping.release_run, release)
    yield from work.settle()
    yield from work.settle_messages()
    return {"run_id": work.run.run_id, "outcome": ended.outcome.value}


def _insist[O: Order, R](work: Work, activity: Step[O, R], order: O) -> Doing[R]:
    """The end of a run must be written: while the history's storage is away, this waits for it."""
    began = work.now
    while True:
        try:
            return (yield from work.do(activity, order))
        except task.TaskFailedError:
            yield from work.sleep(work.pause_since(began))


def hold(
    work: Work,
    plan: RecoveryPlan,
    back_to: Phase,
    problem: str,
    *,
    verb: Literal["retry", "proceed"] = "retry",
    may_default: bool = True,
    until: datetime | None = None,
    stands: Callable[[], Doing[bool]] | None = None,
) -> Doing[bool]:
    """Waits for a person: the lock and what was built are kept. Returns True on ``verb``, and False when the question
    has lapsed: at ``until``, or once it no longer ``stands``, which is asked now and then; an abort raises as
    everywhere.

    ``retry`` says that something was repaired; ``proceed`` is a yes to moving the customers all the same, and is never
    taken for the other. Each hold has a number, and an answer to an earlier one is not taken for an answer to this.
    People are told again after half an hour, then ever more seldom. After ``hold_for`` the plan's declared default does
    one of them, unless ``may_default`` is False: some questions only a person answers. During the cutover there is
    nothing to abort, so only ``retry`` goes on.
    """
    work.holds += 1
    problem = f"{work.notice}{problem}"
    event = names.EVENT_PROCEED if verb == "proceed" else names.EVENT_RETRY
    answers = [verb, "abort"] if work.abortable else [verb]
    lapses = until or (work.now + plan.recovery.hold_for if may_default else None)
    yield from work.record_now(
        phase=Phase.NEEDS_OPERATOR, waiting_for=problem, answers=answers, waiting_until=lapses, holds=work.holds
    )
    title = f"{plan.title}: {work.kind} needs you"
    if problem != work.last_question:
        work.tell(plan.notify, "needs_operator", title, problem, answers)
    work.last_question = problem
    limit = work.ctx.create_timer(plan.recovery.hold_for)
    lapse = work.ctx.create_timer(max(until - work.now, timedelta(0))) if until else None
    began, answered = work.now, True
    look = work.ctx.create_timer(plan.detection.confirm_for) if stands else None
    remind = work.ctx.create_timer(_remind_after(plan))
    while True:
        waits = [one for one in (lapse, look) if one]
        winner = yield from work.first(work.event(event), limit, *waits, remind)
        if winner is remind:
            waited = work.now - began
            work.tell(plan.notify, "needs_operator", f"{plan.title}: {work.kind} still needs you", problem, answers)
            remind = work.ctx.create_timer(waited * 2)
            continue
        if winner is lapse:
            answered = False
            break
        if stands and winner is look:
            # Whoever answered in that moment was told that it counts.
            if not (yield from stands()) and not work.event(event).is_complete:
                answered = False
                break
            # Ever more seldom: a question may wait for days, and all of a run's history is read at every step.
            look = work.ctx.create_timer(max(plan.detection.confirm_for, (work.now - began) * 0.1))
            continue
        if winner is limit:
            if not may_default:
                limit = work.ctx.create_timer(plan.recovery.hold_for)
                continue
            if work.after_hold == "abort" and work.abortable:
                raise AbortedError("nobody's answer", preempted=False)
            break
        if (work.take(event) or {}).get("hold") == work.holds:
            break
    if answered or stands:  # What is asked once more, after it was no longer so, is news.
        work.last_question = None
    yield from work.record_now(phase=back_to, waiting_for=None, answers=[], waiting_until=None)
    return answered


def _remind_after(plan: RecoveryPlan) -> timedelta:
    """Half an hour, in terms of the plan, whose waits a lab divides."""
    return plan.recovery.retry_after * 900


def until_done[T](work: Work, plan: RecoveryPlan, phase: Phase, part: Callable[[], Doing[T]]) -> Doing[T]:
    """Runs a part of the run; when it meets a problem, foreseen or not, a person is told, and ``retry`` runs the part
    again.
    """
    while True:
        try:
            return (yield from part())
        except (Ended, AbortedError, HopelessError):
            raise
        except ProblemError as problem:
            said = str(problem)
        except Exception as error:  # noqa: BLE001 (what was built is kept, whatever went wrong)
            said = f"A step failed again and again: {reason(error)} {FIND_THE_CAUSE}"
            if work.committed:
                again = work.now + plan.recovery.retry_after * 150
                said = (
                    "Customers are being moved: both endpoints may be enabled now. "
                    f"{said} It is also tried again by itself every few minutes."
                )
                yield from hold(work, plan, phase, said, until=again)
                continue
        yield from hold(work, plan, phase, said)


def told(left: list[str]) -> list[str]:
    """What is left, in a list within a sentence: resources by their names, and sentences without their ends."""
    return [one.rsplit("/", 1)[-1] if one.startswith("/subscriptions/") else one.rstrip(".") for one in left]


_WORKER_EXITED = "FunctionInvocationException"
"""How Azure says that an activity's worker process exited before it answered.
Source: Azure/azure-functions-durable-extension 3.19.0, OutOfProcMiddleware."""


def reason(error: Exception) -> str:
    """What an activity said when it failed, without the engine's own words around it; any other error as it is."""
    said = str(error).strip()
    if isinstance(error, task.TaskFailedError):
        if error.details.error_type.endswith(_WORKER_EXITED):
            return "The app's worker process ended before this was done. See the app's log in Azure."
        said = said.rsplit(" failed: ", 1)[-1]
    return said if said.endswith(".") else f"{said}."


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from ``start`` to ``end``, never less than none."""
    if start is None or end is None:
        return None
    return max(0.0, (end - start).total_seconds())
