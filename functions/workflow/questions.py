"""Questions to people: how a run waits for an answer, and what it does when none comes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import FIND_THE_CAUSE, AbortedError, Ended, HopelessError, ProblemError, reason
from shared.models import ids
from shared.models.plan import RecoveryPlan
from shared.models.runs import Phase


def hold(
    work: RunContext,
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
    event = ids.EVENT_PROCEED if verb == "proceed" else ids.EVENT_RETRY
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


def until_done[T](work: RunContext, plan: RecoveryPlan, phase: Phase, part: Callable[[], Doing[T]]) -> Doing[T]:
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
