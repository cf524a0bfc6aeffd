"""What the HTTP API takes and shows, as models that refuse what they do not know."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, StrictBool

from functions.auth import Role
from shared import names
from shared.cloud.traffic import ActiveSite
from shared.durations import Duration
from shared.plan import Strict
from shared.runs import Phase, RecoveryRun, Step


def _one_line(text: str) -> str:
    """What people write is shown in terminals, where an escape could blank the screen or forge a line."""
    if not text.isprintable() or (text and not text.strip()):
        raise ValueError("is not one line of text")
    return text.strip()


Reason = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_one_line)]


class FailoverRequest(Strict):
    """Why, and away from what: an unplanned failover of a primary that serves must be acknowledged."""

    mode: Literal["planned", "unplanned"] = "unplanned"
    acknowledge_primary_healthy: StrictBool = False
    recovery_point: str = Field(default="latest", pattern=r"^(latest|latest_good|before:.+|[A-Za-z0-9-]{1,80})$")
    reason: Reason


class DrillRequest(Strict):
    reason: Reason = "A drill"


class PauseRequest(Strict):
    """``for`` is a duration such as 2h, at most 30 days; 0s ends a pause."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)

    duration: Duration = Field(alias="for")
    reason: Reason


class NoteRequest(Strict):
    reason: Annotated[str, Field(max_length=500), AfterValidator(_one_line)] = ""


class Steering(NamedTuple):
    """What a run can be told: by whom, with which event, in which phases; those phases and the whole in words."""

    needs: Role
    event: str
    phases: frozenset[Phase]
    only: str
    summary: str


_WAITS = frozenset({Phase.WAITING_FOR_APPROVAL})
_MAY_END = frozenset(Phase) - {Phase.CUTTING_OVER, Phase.CLEANING_UP, Phase.COMPLETED}
STEERING = {
    "approve": Steering(
        "approver", names.EVENT_APPROVE, _WAITS, "waits for approval", "Say yes to a failover that waits"
    ),
    "reject": Steering("approver", names.EVENT_REJECT, _WAITS, "waits for approval", "Say no to a failover that waits"),
    "retry": Steering(
        "operator",
        names.EVENT_RETRY,
        frozenset({Phase.NEEDS_OPERATOR}),
        "needs an operator",
        "Let a run go on that needed somebody",
    ),
    "abort": Steering(
        "operator", names.EVENT_ABORT, _MAY_END, "has not begun to move customers", "End a run and clear away"
    ),
}


class RunView(RecoveryRun):
    """A run with everything that it did."""

    steps: list[Step]


class PlanView(Strict):
    """How a plan stands. The last three are only there when one plan is asked for."""

    name: str
    title: str
    mode: Literal["observe", "approve", "automatic"]
    active_site: ActiveSite
    primary_latched: bool
    active_run: str | None
    open_alerts: int
    warnings: list[str]
    next_look_not_before: datetime | None
    paused_until: datetime | None
    pause_reason: str | None
    hash: str | None = None
    plan: dict[str, Any] | None = None
    events: list[dict[str, Any]] | None = None
