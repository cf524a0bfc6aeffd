"""One step of a run: the order that an activity gets, and the row that it leaves in the history."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from shared.models.base import Strict

StepStatus = Literal["running", "succeeded", "failed", "skipped"]


class RunRef(Strict):
    """The acting run, and the epoch under which it holds its plan."""

    run_id: str
    plan: str
    epoch: int

    @property
    def keeps_steps(self) -> bool:
        """The small orchestrations between runs hold no plan (epoch 0), and keep no steps."""
        return self.epoch > 0


class Order(Strict):
    """The base of every activity's input.

    ``target`` names the step's object in the history. A polling step carries ``began_at``, the time of its first poll,
    so that every poll writes the same row.
    """

    run: RunRef
    target: str = ""
    attempt: int = 1
    began_at: datetime | None = None


class StepEnd(Strict):
    """How a step ended, for the history. A result reports it by ``as_step()``; without one it has succeeded."""

    status: StepStatus = "succeeded"
    error: str | None = None
    detail: dict[str, Any] | None = None


class Step(Strict):
    """One step of a run in the history. ``took`` is how many seconds its operation took by Azure's own clock; the times
    are when Coldsite began and saw the end.
    """

    name: str
    target: str
    status: StepStatus
    attempts: int
    started_at: datetime
    ended_at: datetime | None = None
    error: str | None = None
    detail: dict[str, Any] | None = None
    took: float | None = None
