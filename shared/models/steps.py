"""One step of a run: the order that an activity gets, and the row that it leaves in the history."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from shared.models.base import Strict

StepStatus = Literal["running", "succeeded", "failed", "skipped"]


class RunRef(Strict):
    """Who is acting: a run and the epoch under which it holds its plan."""

    run_id: str
    plan: str
    epoch: int


class Order(Strict):
    """The base of every activity's input.

    ``target`` names in the history what the step works on. A step that looks again and again carries ``began_at``, the
    time of its first look, so that every look writes the same row.
    """

    run: RunRef
    target: str = ""
    attempt: int = 1
    began_at: datetime | None = None


class StepEnd(Strict):
    """How a step ended, for the history. A result tells it by ``as_step()``; without one it has succeeded."""

    status: StepStatus = "succeeded"
    error: str | None = None
    detail: dict[str, Any] | None = None


class Step(Strict):
    """One thing a run did, as the history tells it."""

    name: str
    target: str
    status: StepStatus
    attempts: int
    started_at: datetime
    ended_at: datetime | None = None
    error: str | None = None
    detail: dict[str, Any] | None = None
