"""Asking whether to fail over, and waiting for the answer. Who may give it: functions/http/run_actions.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import EndRun
from functions.workflow.lifecycle import next_look
from functions.workflow.questions import pose
from shared.models import ids
from shared.models.plan import RecoveryPlan
from shared.models.runs import Outcome, Phase


def ask_approval(
    work: RunContext,
    plan: RecoveryPlan,
    question: str,
    at_silence: Callable[[], Doing[None]] | None,
    *,
    clean_up: bool,
    deadline: timedelta | None = None,
    expects: str = "",
) -> Doing[str | None]:
    """Waits for approval until the deadline (else the plan's), and returns who approved. An answer counts for one
    question only.

    ``expects`` is what a yes leads to, in a sentence, for the message. Without an answer the run expires; with
    ``at_silence`` the run calls it, proceeds, and None is returned. Raises ``EndRun`` for a rejection and where a run
    expires; ``clean_up``: what was begun is then deleted.
    """
    deadline = deadline or plan.detection.approval.deadline
    until = work.now + deadline
    yield from pose(work, plan, Phase.WAITING_FOR_APPROVAL, question, ["approve", "reject", "abort"], until)
    silence = "the run proceeds" if at_silence else f"the run ends without a {work.kind}"
    asked = f"{question} {expects}".strip()
    text = f"{asked} Without a response before {until:%H:%M} UTC {silence}."
    title = f"Approval required: {plan.title} (run {work.run.run_id})"
    work.tell(plan.notify, "needs_operator", title, text, ["approve", "reject"])
    limit = work.ctx.create_timer(deadline)
    winner = None
    while winner is not limit:
        approved, rejected = work.event(ids.EVENT_APPROVE), work.event(ids.EVENT_REJECT)
        winner = yield from work.first(approved, rejected, limit)
        if winner is limit and at_silence:
            yield from at_silence()
        # An answer at the same moment has been accepted by the API, so it counts.
        if rejected.is_complete and (by := _answer(work, ids.EVENT_REJECT)):
            raise _not_approved(work, plan, Outcome.REJECTED, f"Rejected by {by}.", clean_up)
        if approved.is_complete and (by := _answer(work, ids.EVENT_APPROVE)):
            return by
    if at_silence is None:
        raise _not_approved(work, plan, Outcome.EXPIRED, "No approval before the deadline.", clean_up)
    return None


def _answer(work: RunContext, event: str) -> str | None:
    """The name of the caller who answered this question; None for an answer to an earlier one."""
    payload = work.take(event) or {}
    return str(payload.get("by", "a person")) if payload.get("hold") == work.holds else None


def _not_approved(work: RunContext, plan: RecoveryPlan, outcome: Outcome, because: str, clean_up: bool) -> EndRun:
    cooldown = plan.detection.cooldown if work.kind == "failover" else None
    if cooldown and not clean_up:  # Otherwise the cleanup adds it.
        because = f"{because} {next_look(work, cooldown)}"
    return EndRun(outcome, because, cooldown=cooldown, clean_up=clean_up)
