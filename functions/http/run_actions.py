"""Who may do what to a run, and when: the role, the phases and the event of each action."""

from __future__ import annotations

from typing import NamedTuple

from functions.http.auth import PersonRole
from shared.models import ids
from shared.models.runs import Phase


class RunAction(NamedTuple):
    """An action on a run: its role, event and phases, the phases in words, and a summary."""

    needs: PersonRole
    event: str
    phases: frozenset[Phase]
    only: str
    summary: str


_WAITS = frozenset({Phase.WAITING_FOR_APPROVAL})
_MAY_END = frozenset(Phase) - {Phase.CUTTING_OVER, Phase.CLEANING_UP, Phase.COMPLETED}
RUN_ACTIONS = {
    "approve": RunAction(
        "approver", ids.EVENT_APPROVE, _WAITS, "waits for approval", "Approve a failover that waits for approval"
    ),
    "reject": RunAction(
        "approver", ids.EVENT_REJECT, _WAITS, "waits for approval", "Reject a failover that waits for approval"
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
        "Cut over despite the reported doubt: a yes to the question just before the cutover",
    ),
    "abort": RunAction(
        "operator", ids.EVENT_ABORT, _MAY_END, "has not begun the cutover", "End a run and delete what it built"
    ),
}
