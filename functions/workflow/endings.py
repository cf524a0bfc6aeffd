"""The ways in which a run leaves its plan of steps, and how an error is worded for people."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from durabletask import task

from shared.models.runs import Outcome

FIND_THE_CAUSE = "Find the cause in the run's steps, then `retry`."


class NeedsOperator(Exception):  # noqa: N818 (a state of the run, not an error)
    """The run cannot continue by itself; the message is one sentence on what is wrong and what to do."""


class AnotherPoint(Exception):  # noqa: N818 (a decision, not an error)
    """A person answered with ``retry`` and another recovery point: what was built is of no use."""

    def __init__(self, point: str) -> None:
        self.point = point
        super().__init__(point)


class EndRun(Exception):  # noqa: N818 (an ending, not an error)
    """The run is over with this outcome; ``facts`` go to its row, ``because`` to people.

    ``clean_up``: what the run built is deleted first, in the name of ``by``. ``well_at`` is when the primary was seen
    healthy: alerts that fired before are no longer open. It is raised or returned.
    """

    def __init__(
        self,
        outcome: Outcome,
        because: str,
        *,
        by: str = "",
        clean_up: bool = False,
        cooldown: timedelta | None = None,
        well_at: datetime | None = None,
        **facts: Any,
    ) -> None:
        self.outcome = outcome
        self.because = because
        self.by = by or because
        self.clean_up = clean_up
        self.cooldown = cooldown
        self.well_at = well_at
        self.facts = facts
        super().__init__(because)

    @classmethod
    def aborted(cls, by: str, *, preempted: bool = False) -> EndRun:
        """The run was aborted by a person, by a default of its plan, or by a failover that takes a drill's place."""
        outcome = Outcome.PREEMPTED if preempted else Outcome.ABORTED
        return cls(outcome, f"Ended by {by}.", by=by, clean_up=True)


def named(left: list[str]) -> list[str]:
    """Leftovers as parts of a sentence: resources by their names, sentences without their full stops."""
    return [item.rsplit("/", 1)[-1] if item.startswith("/subscriptions/") else item.rstrip(".") for item in left]


_WORKER_EXITED = "FunctionInvocationException"
"""How Azure says that an activity's worker process exited before it answered.
Source: Azure/azure-functions-durable-extension 3.19.0, OutOfProcMiddleware."""


def without_retry(text: str) -> str:
    """A reason without the advice to `retry`, where no run waits for it."""
    return re.sub(r"[,;]? ?[Tt]hen `retry`\.?$", ".", text)


def reason(error: Exception) -> str:
    """An activity's own error text, without the engine's words around it; any other error unchanged."""
    text = str(error).strip()
    if isinstance(error, task.TaskFailedError):
        if error.details.error_type.endswith(_WORKER_EXITED):
            return "The app's worker process ended before this was done. See the app's log in Azure."
        text = text.rsplit(" failed: ", 1)[-1]
    return text if text.endswith(".") else f"{text}."
