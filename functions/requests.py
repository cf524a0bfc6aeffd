"""What the HTTP API takes and shows, as models that refuse what they do not know."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field, StrictBool

from shared.durations import Duration
from shared.plan import Strict


class FailoverRequest(Strict):
    """Why, and away from what: an unplanned failover of a primary that serves must be acknowledged."""

    mode: Literal["planned", "unplanned"] = "unplanned"
    acknowledge_primary_healthy: StrictBool = False
    recovery_point: str = Field(default="latest", pattern=r"^(latest|latest_good|before:.+|[A-Za-z0-9-]{1,80})$")
    reason: str = Field(min_length=1, max_length=500)


class DrillRequest(Strict):
    reason: str = Field(default="A drill", min_length=1, max_length=500)


class PauseRequest(Strict):
    """``for`` is a duration such as 2h, at most 30 days; 0s ends a pause."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)

    duration: Duration = Field(alias="for")
    reason: str = Field(min_length=1, max_length=500)


class NoteRequest(Strict):
    reason: str = Field(default="", max_length=500)


class PlanView(Strict):
    """How a plan stands. The last three are only there when one plan is asked for."""

    name: str
    title: str
    mode: Literal["observe", "approve", "automatic"]
    active_site: Literal["primary", "recovery"]
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
