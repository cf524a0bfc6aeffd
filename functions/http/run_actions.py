"""Who may do what to a run, and when: the role, the phases and the event of each action."""

from __future__ import annotations

from typing import NamedTuple

from functions.http.auth import Caller, PersonRole
from shared.models import errors, ids
from shared.models.plan import RecoveryPlan
from shared.models.runs import MOVES_CUSTOMERS, Phase, RecoveryRun


class RunAction(NamedTuple):
    """An action on a run: its role, event and phases, the phases in words, and a summary."""

    needs: PersonRole
    event: str
    phases: frozenset[Phase]
    only: str
    summary: str


_WAITS = frozenset({Phase.WAITING_FOR_APPROVAL})
_MAY_END = frozenset(Phase) - {*MOVES_CUSTOMERS, Phase.WATCHING, Phase.CLEANING_UP, Phase.COMPLETED}
RUN_ACTIONS = {
    "approve": RunAction(
        "approver", ids.EVENT_APPROVE, _WAITS, "waits for approval", "Approve a failover, or sign a failback"
    ),
    "reject": RunAction(
        "approver",
        ids.EVENT_REJECT,
        _WAITS,
        "waits for approval",
        "Reject a failover or a failback that waits for approval",
    ),
    "retry": RunAction(
        "operator",
        ids.EVENT_RETRY,
        frozenset({Phase.NEEDS_OPERATOR}),
        "waits for a fix",
        "Resume a run after fixing the reported problem",
    ),
    "proceed": RunAction(
        "operator",
        ids.EVENT_PROCEED,
        frozenset({Phase.NEEDS_OPERATOR}),
        "asks whether to proceed",
        "Answer yes to the question and continue despite the reported doubt, usually just before the cutover",
    ),
    "commit": RunAction(
        "operator",
        ids.EVENT_COMMIT,
        frozenset({Phase.WATCHING}),
        "has moved customers home and watched them",
        "End a failback whose home has proven itself",
    ),
    "abort": RunAction(
        "operator", ids.EVENT_ABORT, _MAY_END, "has not begun the cutover", "End a run and delete what it built"
    ),
}


def refuse_approval_by_starter(run: RecoveryRun, caller: Caller) -> None:
    """The starter of a run may not approve it where the plan requires four eyes; alerts and the watch do not count."""
    if run.four_eyes and (caller.id is None or caller.id == run.person_id):
        raise errors.AccessError(
            409,
            f"The plan requires four eyes, and {run.person} started this run. A second approver must approve it.",
            f"{caller.name} ({caller.id}) started {run.run_id} and tried to approve it",
        )


def refuse_unidentified(plan: RecoveryPlan, caller: Caller, act: str) -> None:
    """Where the plan requires four eyes, a function key cannot act: it does not identify a person."""
    if plan.detection.approval.four_eyes and caller.id is None:
        raise errors.AccessError(
            409,
            "The plan requires four eyes, and a function key does not identify a person. Turn on sign-in "
            "(COLDSITE_SIGN_IN), or leave detection.approval.four_eyes off.",
            f"a {act} of {plan.name} with a function key, where four eyes are required",
        )
