"""Azure's long-running operations and its expected refusals, as plain data."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from shared.models import ids
from shared.models.base import Strict

RefusalKind = Literal["capacity", "quota", "throttled", "conflict", "in_use", "permanent"]
OWN_CODES = {"NotTheHolder", "NotFrozen", "TooLate"}
"""Refusals by Coldsite itself: another run holds the plan, the replica is not frozen for this, the deadline passed."""


class Refusal(Strict):
    """Azure's expected refusal, with its code and message. ``retry_after`` is in seconds, as Azure gave it."""

    kind: RefusalKind
    code: str
    message: str
    retry_after: float | None = None

    @property
    def sentence(self) -> str:
        return self.message if self.code in OWN_CODES else f"Azure answered {self.code}: {self.message}"


class Operation(Strict):
    """A long-running operation. Without ``url`` (it was started before a crash) the resource itself is polled."""

    resource: str
    url: str | None = None


class Started(Strict):
    kind: Literal["started"] = "started"
    operation: Operation


class Refused(Strict):
    kind: Literal["refused"] = "refused"
    refusal: Refusal

    @property
    def is_for_later(self) -> bool:
        """Whether the same order may succeed by itself later."""
        return self.refusal.kind in ("throttled", "conflict")


class OperationState(Strict):
    """``refusal`` is set when the operation failed, or the question was throttled; ``output`` is Run Command's.
    ``took`` is how many seconds the operation took by Azure's own clock, where its status says so.
    """

    state: Literal["running", "succeeded", "failed", "gone"]
    took: float | None = None
    refusal: Refusal | None = None
    output: list[dict[str, Any]] | None = None


class PointInTime(Strict):
    """One recovery point on record in Azure: the snapshots of one set. ``run_id`` is the run that took it, if any;
    ``data_until`` is the moment its data reach at least, as known when it was taken; None for a set from before this
    was recorded.
    """

    set_id: str
    run_id: str = ""
    taken_at: datetime
    consistency: Literal["application", "crash"]
    snapshots: dict[str, str]
    data_until: datetime | Literal["unknown"] | None = None

    def of_workload(self, name: str) -> dict[str, str]:
        """The snapshots of one workload by disk label."""
        return {
            key.partition("/")[2]: snapshot for key, snapshot in self.snapshots.items() if key.partition("/")[0] == name
        }

    @property
    def holds_until(self) -> datetime | None:
        """The moment that the data reach; None when unknown. The data of a disconnected replica are older than a set
        that was taken of it.
        """
        if self.data_until == ids.UNKNOWN:
            return None
        return min(self.data_until, self.taken_at) if isinstance(self.data_until, datetime) else self.taken_at
