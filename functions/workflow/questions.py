"""Questions to the operator: how a run waits for an answer, and its default when none comes."""

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
    """Waits for the operator: the lock and what was built are kept. Returns True on ``verb``, and False when the
    question has lapsed: at ``until``, or once it no longer ``stands``, which is checked now and then; an abort raises
    as everywhere.

    ``retry`` says that a problem was fixed; ``proceed`` is a yes to the cutover, and neither replaces the other. Each
    hold has a number, and an answer to an earlier one does not count for this one. A reminder is sent after half an
    hour, then at growing intervals. After ``hold_for`` the plan's declared default applies, unless ``may_default`` is
    False: some questions only a person may answer. During the cutover abort is impossible, so only ``retry`` continues.
    """
    work.holds += 1
    problem = f"{work.notice}{problem}"
    event = ids.EVENT_PROCEED if verb == "proceed" else ids.EVENT_RETRY
    answers = [verb, "abort"] if work.abortable else [verb]
    lapses = until or (work.now + plan.recovery.hold_for if may_default else None)
    yield from work.record_now(
        phase=Phase.NEEDS_OPERATOR, waiting_for=problem, answers=answers, waiting_until=lapses, holds=work.holds
    )
    title = f"Action required: {plan.title} (run {work.run.run_id})"
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
            work.tell(plan.notify, "needs_operator", f"Reminder: {title}", problem, answers)
            remind = work.ctx.create_timer(waited * 2)
            continue
        if winner is lapse:
            answered = False
            break
        if stands and winner is look:
            # An answer at the same moment has been accepted by the API, so it counts.
            if not (yield from stands()) and not work.event(event).is_complete:
                answered = False
                break
            # At growing intervals: a question may wait for days, and all of a run's history is read at every step.
            look = work.ctx.create_timer(max(plan.detection.confirm_for, (work.now - began) * 0.1))
            continue
        if winner is limit:
            if not may_default:
                limit = work.ctx.create_timer(plan.recovery.hold_for)
                continue
            if work.after_hold == "abort" and work.abortable:
                raise AbortedError("the plan's default, without a response", preempted=False)
            break
        if (work.take(event) or {}).get("hold") == work.holds:
            break
    if answered or stands:  # A question that returns after it had lapsed is new.
        work.last_question = None
    yield from work.record_now(phase=back_to, waiting_for=None, answers=[], waiting_until=None)
    return answered


def _remind_after(plan: RecoveryPlan) -> timedelta:
    """Half an hour, in terms of the plan, whose waits a lab divides."""
    return plan.recovery.retry_after * 900


def until_done[T](work: RunContext, plan: RecoveryPlan, phase: Phase, part: Callable[[], Doing[T]]) -> Doing[T]:
    """Runs a part of the run; on a problem, expected or not, it asks the operator, and ``retry`` repeats the part."""
    while True:
        try:
            return (yield from part())
        except (Ended, AbortedError, HopelessError):
            raise
        except ProblemError as problem:
            said = str(problem)
        except Exception as error:  # noqa: BLE001 (what was built is kept, whatever went wrong)
            said = f"A step failed after every retry: {reason(error)} {FIND_THE_CAUSE}"
            if work.committed:
                again = work.now + plan.recovery.retry_after * 150
                said = (
                    "Cutover in progress: both endpoints may be enabled. "
                    f"{said} Coldsite also retries every few minutes."
                )
                yield from hold(work, plan, phase, said, until=again)
                continue
        yield from hold(work, plan, phase, said)
