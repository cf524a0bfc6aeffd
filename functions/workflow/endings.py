"""How a run or a part of it ends early, and how an error is worded for people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from durabletask import task

from shared.models.runs import Outcome


class ProblemError(Exception):
    """A run cannot continue by itself; the message states the problem and the remedy."""


class HopelessError(Exception):
    """The run cannot be continued: what was built is deleted, and the run has failed."""


class AbortedError(Exception):
    """The run was aborted. ``by`` is the caller or cause; ``preempted``: a failover took the plan from a drill."""

    def __init__(self, by: str, preempted: bool) -> None:
        self.by = by
        self.preempted = preempted
        super().__init__(f"Aborted by {by}.")


FIND_THE_CAUSE = "Find the cause in the run's steps, then `retry`."


class Ended(Exception):  # noqa: N818 (an ending, not an error)
    """The run is over with this outcome; ``facts`` go to its row, ``because`` to the notification.

    ``well_at`` is when the primary was seen healthy: alerts that fired before are no longer open. ``clears``: what was
    begun is deleted first.
    """

    def __init__(
        self,
        outcome: Outcome,
        because: str,
        cooldown: timedelta | None = None,
        *,
        well_at: datetime | None = None,
        clears: bool = False,
        **facts: Any,
    ) -> None:
        self.outcome = outcome
        self.because = because
        self.cooldown = cooldown
        self.well_at = well_at
        self.clears = clears
        self.facts = facts
        super().__init__(because)


def told(left: list[str]) -> list[str]:
    """Leftovers as a list within a sentence: resources by name, and sentences without their full stops."""
    return [one.rsplit("/", 1)[-1] if one.startswith("/subscriptions/") else one.rstrip(".") for one in left]


_WORKER_EXITED = "FunctionInvocationException"
"""Azure's error when an activity's worker process exits before it answers.
Source: Azure/azure-functions-durable-extension 3.19.0, OutOfProcMiddleware."""


def reason(error: Exception) -> str:
    """An activity's error without the engine's wrapping; any other error as it is."""
    said = str(error).strip()
    if isinstance(error, task.TaskFailedError):
        if error.details.error_type.endswith(_WORKER_EXITED):
            return "The app's worker process ended before this was done. See the app's log in Azure."
        said = said.rsplit(" failed: ", 1)[-1]
    return said if said.endswith(".") else f"{said}."
