"""What can go wrong, as one tree. Each error carries its facts as fields and says what to do next.

ColdsiteError
├── PlanError              a plan file cannot be used; lists every problem found
├── SettingError           an app setting is missing or unusable
├── UnknownPlanError       no plan of that name is deployed
├── UnknownRunError        no run of that id is on record
├── PlanBusyError          another run holds the plan
├── RefusedError           an operation would be unsafe now
├── AlertError             an alert that cannot be used
│   ├── MalformedAlertError    not JSON
│   ├── UnusableAlertError     not the common alert schema, or from nobody we know
│   └── AlertTooLargeError     longer than any alert of Azure Monitor
├── AccessError            the caller may not do this, or did not say who it is
├── DirectoryUnavailableError  the directory's signing keys cannot be read
├── StorageUnavailableError    the history cannot be reached
├── StateConflictError     somebody else changed the plan's state first
├── LostLockError          this run no longer holds its plan
├── NotDeliveredError      a message to people that was not taken
├── QueryAnswerError       a plan's KQL answers something else than a time
└── ReplicationError       the replication machine answered something that cannot be trusted
"""

from __future__ import annotations

from typing import Any, Literal


class ColdsiteError(Exception):
    """The base of everything that Coldsite raises on purpose."""


class PlanError(ColdsiteError):
    """``problems`` holds one line a problem: key, value and what was expected."""

    def __init__(self, file: str, problems: list[str]) -> None:
        self.file = file
        self.problems = problems
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))


class SettingError(ColdsiteError):
    """The message names the setting and what it should hold, never its value."""


class UnknownPlanError(ColdsiteError):
    """The name is not repeated: it came from outside."""

    def __init__(self) -> None:
        super().__init__("No such plan. GET /api/plans lists the plans that are deployed.")


class UnknownRunError(ColdsiteError):
    """The id is not repeated: it came from outside."""

    def __init__(self) -> None:
        super().__init__("No such run. GET /api/runs lists the runs on record.")


class PlanBusyError(ColdsiteError):
    """``run_id`` is the run that holds the plan."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"The plan is busy with run {run_id}. Follow it, or abort it first.")


class RefusedError(ColdsiteError):
    """``facts`` is shown to the caller beside the message."""

    def __init__(self, message: str, **facts: Any) -> None:
        self.facts = facts
        super().__init__(message)


class AlertError(ColdsiteError):
    """The base of the alert errors; ``status`` is the HTTP status of the answer."""

    status = 422


class MalformedAlertError(AlertError):
    status = 400


class UnusableAlertError(AlertError):
    status = 422


class AlertTooLargeError(AlertError):
    status = 413


class AccessError(ColdsiteError):
    """``status`` is 401 when nobody known is calling, 403 when somebody known may not, and 409 when another must.

    ``because`` is for the record and never shown: it may say what a forger should not learn. ``at`` is the door.
    """

    at: Literal["people", "alerts"] = "people"

    def __init__(self, status: int, told: str, because: str) -> None:
        self.status = status
        self.because = because
        super().__init__(told)


class DirectoryUnavailableError(ColdsiteError):
    """Who is calling cannot be checked now; whoever calls sends again."""

    def __init__(self) -> None:
        super().__init__("The directory's signing keys cannot be read. Send it again.")


class StorageUnavailableError(ColdsiteError):
    """Table Storage did not answer in time, or refused."""


class StateConflictError(ColdsiteError):
    """The site state changed between reading and writing; read again and decide again."""


class LostLockError(ColdsiteError):
    """A write of a former run was refused: its epoch is over."""


class NotDeliveredError(ColdsiteError):
    """A message to people that its address did not take. The message names the setting, never the address."""


class QueryAnswerError(ColdsiteError):
    """A plan's KQL answers something else than the time of a sign of life; the message says what it must answer."""


class ReplicationError(ColdsiteError):
    """A replication script failed or printed something that is not its contract's one JSON line."""
