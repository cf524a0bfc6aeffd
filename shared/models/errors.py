"""All errors, as one tree. Each error carries its facts as fields and says what to do next.

ColdsiteError
├── PlanError              a plan file cannot be used; lists every problem found
├── SettingError           an app setting is missing or unusable
├── UnknownPlanError       no plan of that name is deployed
├── UnknownRunError        no run of that id is on record
├── PlanBusyError          another run holds the plan
├── RefusedError           an operation would be unsafe now
├── AlertError             an alert that is not usable
│   ├── MalformedAlertError    not JSON
│   ├── UnusableAlertError     not the common alert schema, or not about any plan
│   └── AlertTooLargeError     longer than any alert of Azure Monitor
├── AccessError            the caller may not do this, or is not authenticated
├── DirectoryUnavailableError  the directory's signing keys cannot be read
├── StorageUnavailableError    the history cannot be reached
├── StateConflictError     a concurrent writer changed the plan's state first
├── LostLockError          this run no longer holds its plan
├── NotDeliveredError      a notification that was not delivered
├── QueryAnswerError       a plan's KQL returns something other than a time
└── ReplicationError       the replication machine's answer cannot be trusted
"""

from __future__ import annotations

from typing import Any, Literal


class ColdsiteError(Exception):
    """The base of everything that Coldsite raises on purpose."""


class PlanError(ColdsiteError):
    """``problems`` holds one line for each problem: key, value and what was expected."""

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
        super().__init__(
            f"Run {run_id} is in progress already, and only one run may act on a plan. "
            f"`coldsite runs watch {run_id}` follows it."
        )


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
    """``status`` is 401 without authentication, 403 without the role, and 409 when another person must act.

    ``because`` is for the record and never shown: it may help an attacker. ``at`` is the route.
    """

    at: Literal["people", "alerts"] = "people"

    def __init__(self, status: int, message: str, because: str) -> None:
        self.status = status
        self.because = because
        super().__init__(message)


class DirectoryUnavailableError(ColdsiteError):
    """The caller's token cannot be checked now; the caller must send it again."""

    def __init__(self) -> None:
        super().__init__("The directory's signing keys cannot be read. Send the request again.")


class StorageUnavailableError(ColdsiteError):
    """Table Storage did not answer in time, or refused."""


class StateConflictError(ColdsiteError):
    """The site state changed between reading and writing; read again and decide again."""


class LostLockError(ColdsiteError):
    """A write of an earlier run was refused: its epoch is over."""


class NotDeliveredError(ColdsiteError):
    """A notification that its address did not accept. The message names the setting, never the address."""


class QueryAnswerError(ColdsiteError):
    """A plan's KQL returns something other than the time of a sign of life; the message says what it must return."""


class ReplicationError(ColdsiteError):
    """A replication script failed or printed something that is not its contract's one JSON line."""


def first_line(error: Exception) -> str:
    """An error in one line of at most 200 characters; its type where it says nothing."""
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__
