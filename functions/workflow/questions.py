"""Questions to people: what is asked, how a run waits for the answer, and what happens without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import FIND_THE_CAUSE, AnotherPoint, EndRun, NeedsOperator, reason
from shared.models import ids
from shared.models.plan import RecoveryPlan
from shared.models.runs import Phase, Verb


@dataclass(frozen=True)
class Question:
    """One question of a run, asked in the phase ``asked_in``, which it returns to.

    ``answer`` is the verb that continues: ``retry`` says that a problem was fixed, ``proceed`` is a yes to the cutover,
    and neither replaces the other. The question lapses at ``lapses_at``, or once it is no longer ``still_true``, which
    is checked now and then. ``has_default``: after ``hold_for`` the plan's declared default applies; some questions
    only a person may answer.
    """

    text: str
    asked_in: Phase
    answer: Literal["retry", "proceed"] = "retry"
    has_default: bool = True
    lapses_at: datetime | None = None
    still_true: Callable[[], Doing[bool]] | None = None


def pose(
    work: RunContext,
    plan: RecoveryPlan,
    phase: Phase,
    text: str,
    answers: list[Verb],
    until: datetime | None,
    *,
    urgent: bool = True,
) -> Doing[None]:
    """Writes a question down, with its number: an answer to an earlier one does not count for this one. Only an
    ``urgent`` one is escalated.
    """
    work.holds += 1
    if text != work.asked:
        work.asked, work.asked_at = text, work.now
    yield from work.record_now(
        phase=phase,
        waiting_for=text,
        waiting_since=work.asked_at if urgent else None,
        answers=answers,
        waiting_until=until,
        holds=work.holds,
    )


def ask(work: RunContext, plan: RecoveryPlan, question: Question) -> Doing[bool]:
    """Waits for the operator: the lock and what was built are kept. Returns True on the question's answer, and False
    when it has lapsed; an abort raises as everywhere, and so does an answer with another recovery point.

    A reminder is sent after half an hour, then at growing intervals. During the cutover abort is impossible, so only
    ``retry`` continues.
    """
    text = f"{work.notice}{question.text}"
    event = ids.EVENT_PROCEED if question.answer == "proceed" else ids.EVENT_RETRY
    answers: list[Verb] = [question.answer, "abort"] if work.abortable else [question.answer]
    default_at = work.now + plan.recovery.hold_for if question.has_default else None
    yield from pose(work, plan, Phase.NEEDS_OPERATOR, text, answers, question.lapses_at or default_at)
    title = f"Action required: {plan.title} (run {work.run.run_id})"
    if text != work.last_question:
        work.tell(plan.notify, "needs_operator", title, text, answers)
    work.last_question = text
    answered = yield from _wait(work, plan, question, event, lambda: _remind(work, plan, title, text, answers))
    if answered or question.still_true:  # A question that returns after it had lapsed is new.
        work.last_question = None
    yield from work.record_now(phase=question.asked_in, waiting_for=None, answers=[], waiting_until=None)
    return answered


def await_commit(
    work: RunContext,
    plan: RecoveryPlan,
    offered_at: datetime,
    problem_now: Callable[[int, datetime], Doing[str | None]],
) -> Doing[None]:
    """Watches until ``offered_at``, or until something is wrong, then until a person commits. ``problem_now`` takes
    the number of the look and when the first was, and returns what is wrong; a new problem is told at once, and
    reminders are sent while it waits.
    """
    began, looks = work.now, 0
    asked: str | None = None
    remind_at = offered_at + _remind_after(plan)
    title = f"Commit the {work.kind}: {plan.title} (run {work.run.run_id})"
    while True:
        looks += 1
        problem = yield from problem_now(looks, began)
        question = _commit_question(problem)
        due = problem is not None or work.now >= offered_at
        if asked and not due:  # Home serves again before its time is over.
            yield from work.record_now(waiting_for=None, answers=[], waiting_until=None)
            asked = None
        if due and (asked is None or _about(asked) != _about(question)):
            yield from pose(work, plan, Phase.WATCHING, question, ["commit"], None, urgent=problem is not None)
            work.tell(plan.notify, "needs_operator", title, question, ["commit"])
            asked = question
        if asked and work.now >= remind_at:
            work.tell(plan.notify, "needs_operator", f"Reminder: {title}", "`commit` is due.", ["commit"])
            remind_at = work.now + (work.now - began) * 2
        pause = work.ctx.create_timer(_until_next_look(plan, work.now - began, offered_at - work.now))
        commit = work.event(ids.EVENT_COMMIT)
        winner = yield from work.first(*([commit] if asked else []), pause)
        if winner is commit and (work.take(ids.EVENT_COMMIT) or {}).get("hold") == work.holds:
            return


def _commit_question(problem: str | None) -> str:
    if problem is None:
        return "Home was watched for as long as the plan asks. `commit` ends the failback; there is no way back."
    return (
        f"Home does not serve: {problem}. Repair it there. The newest data are at home; the machines in Azure hold "
        "everything up to the move. `commit` ends the failback; only then is a failover possible."
    )


def _about(question: str) -> str:
    """A question is asked again when its subject changes, and not with every detail."""
    return question.split(":")[0].split(".")[0]


def _until_next_look(plan: RecoveryPlan, elapsed: timedelta, until_offered: timedelta) -> timedelta:
    pause = plan.pause_between_looks(elapsed)
    return min(pause, until_offered) if until_offered > timedelta(0) else pause


def _wait(
    work: RunContext, plan: RecoveryPlan, question: Question, event: str, remind: Callable[[], None]
) -> Doing[bool]:
    began, timer = work.now, work.ctx.create_timer
    default = timer(plan.recovery.hold_for)
    lapse = timer(max(question.lapses_at - began, timedelta(0))) if question.lapses_at else None
    check = timer(plan.detection.confirm_for) if question.still_true else None
    reminder = timer(_remind_after(plan))
    while True:
        waits = [wait for wait in (lapse, check) if wait]
        winner = yield from work.first(work.event(event), default, *waits, reminder)
        if winner is reminder:
            remind()
            reminder = timer((work.now - began) * 2)
        elif winner is lapse:
            return False
        elif winner is check and question.still_true:
            # An answer at the same moment has been accepted by the API, so it counts.
            if not (yield from question.still_true()) and not work.event(event).is_complete:
                return False
            # At growing intervals: a question may wait for days, and all of a run's history is read at every step.
            check = timer(max(plan.detection.confirm_for, (work.now - began) * 0.1))
        elif winner is default:
            if question.has_default:
                if work.after_hold == "abort" and work.abortable:
                    raise EndRun.aborted("the plan's default, without a response")
                return True
            default = timer(plan.recovery.hold_for)
        elif (answer := work.take(event) or {}).get("hold") == work.holds:
            if point := answer.get("recovery_point"):
                raise AnotherPoint(point)
            return True


def _remind(work: RunContext, plan: RecoveryPlan, title: str, text: str, answers: list[Verb]) -> None:
    work.tell(plan.notify, "needs_operator", f"Reminder: {title}", text, answers)


def _remind_after(plan: RecoveryPlan) -> timedelta:
    """Half an hour, in terms of the plan, whose waits a lab divides."""
    return plan.recovery.retry_after * 900


def until_done[T](work: RunContext, plan: RecoveryPlan, phase: Phase, part: Callable[[], Doing[T]]) -> Doing[T]:
    """Runs a part of the run; on a problem, expected or not, it asks the operator, and ``retry`` repeats the part."""
    while True:
        lapses_at = None
        try:
            return (yield from part())
        except (EndRun, AnotherPoint):
            raise
        except NeedsOperator as problem:
            text = str(problem)
        except Exception as error:  # noqa: BLE001 (what was built is kept, whatever went wrong)
            text = f"A step failed after every retry: {reason(error)} {FIND_THE_CAUSE}"
            if work.cutover.is_committed:
                lapses_at = work.now + plan.recovery.retry_after * 150
                text = (
                    "Cutover in progress: both endpoints may be enabled. "
                    f"{text} Coldsite also retries every few minutes."
                )
        yield from ask(work, plan, Question(text, phase, lapses_at=lapses_at))
