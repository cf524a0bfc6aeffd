"""Questions that are not acknowledged: they are sent to further addresses, one after another."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.models.durations import spoken
from shared.models.errors import NotDeliveredError, UnknownRunError
from shared.models.orders import Message
from shared.models.plan import RecoveryPlan
from shared.models.runs import RecoveryRun
from shared.models.site_state import SiteState
from shared.services.announce import deliver
from shared.store import site_state
from shared.store.events import record_event
from shared.store.runs import read_run


async def escalate(plan: RecoveryPlan, state: SiteState) -> None:
    """Tells the next addresses of the plan's ``escalation`` of a question that is neither answered nor acknowledged.

    An address that does not accept the message is tried again at the next call. Questions of a drill are not urgent.
    """
    if not plan.escalation or not state.active_run or state.active_kind == "drill":
        return
    try:
        run = await read_run(state.active_run)
    except UnknownRunError:
        return
    if not run.waiting_for or run.waiting_since is None or run.is_acknowledged:
        return
    waits = datetime.now(UTC) - run.waiting_since
    question = f"{run.run_id}/{run.waiting_since:%Y%m%dT%H%M%S}/"
    escalated = [entry for entry in state.escalated if entry.startswith(question)]
    for step in plan.escalation:
        if waits < step.after or question + step.to in escalated:
            continue
        try:
            await deliver(plan.name, _message(plan, run, step.to, waits.total_seconds()))
        except NotDeliveredError:
            continue
        escalated.append(question + step.to)
        await _remember(plan.name, escalated)
        await record_event(plan.name, f"The question of run {run.run_id} was escalated to {step.to}.")


async def _remember(plan: str, escalated: list[str]) -> None:
    def change(state: SiteState) -> dict[str, Any]:
        return {"escalated": escalated}

    await site_state.change_state(plan, change)


def _message(plan: RecoveryPlan, run: RecoveryRun, address: str, waits: float) -> Message:
    answers = "; ".join(f"coldsite {word} {run.run_id}" for word in ("acknowledge", *run.answers))
    return Message(
        url_setting=address,
        title=f"Unanswered for {spoken(waits)}: {plan.title} (run {run.run_id})",
        text=f"{run.waiting_for}\n\nNot acknowledged yet. Commands: {answers}",
    )
