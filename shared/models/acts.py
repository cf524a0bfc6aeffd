"""What a hook or a script of the business's own automation reports, in one JSON line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, ValidationError

from shared.models.base import Strict
from shared.models.steps import StepEnd


def _as_utc(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


class ActReport(Strict):
    """``done`` is whether it was done, None where it is not said. ``newest_commits`` are the databases' last commits
    once their writes were stopped, by name; ``message`` is shown to people. Other fields are ignored.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    done: bool | None = None
    newest_commits: dict[str, Annotated[datetime, AfterValidator(_as_utc)]] = {}
    message: Annotated[str, BeforeValidator(lambda value: str(value or "")[:200])] = ""

    @property
    def last_commits(self) -> dict[str, datetime]:
        """``newest_commits`` by the databases' names in lower case."""
        return {name.lower(): moment for name, moment in self.newest_commits.items()}


class Called(Strict):
    """``reached`` is False where it is certain that the hook did not receive the call. ``report`` is what its answer
    says, where it says anything.
    """

    kind: Literal["called"] = "called"
    done: bool
    detail: str
    reached: bool = True
    report: ActReport = ActReport()

    def as_step(self) -> StepEnd:
        return StepEnd(status="succeeded" if self.done else "failed", error=None if self.done else self.detail)


def read_report(text: str) -> ActReport | None:
    """A text that is JSON, or its last JSON line, as a report; None where there is none that can be read."""
    try:
        return _report(text) or _report(last_json_line(text))
    except IndexError:
        return None


def _report(text: str) -> ActReport | None:
    try:
        return ActReport.model_validate(json.loads(text))
    except (ValueError, ValidationError):
        return None


def last_json_line(text: str) -> str:
    """Raises ``IndexError`` where no line begins like one."""
    return [line.strip() for line in text.splitlines() if line.strip().startswith("{")][-1]


def streams_of(output: list[dict[str, Any]] | None) -> tuple[str, str]:
    """Run Command's standard output and standard error."""
    streams = {str(item.get("code", "")): str(item.get("message", "")) for item in output or []}
    stdout = next((text for code, text in streams.items() if "StdOut" in code), "")
    stderr = next((text for code, text in streams.items() if "StdErr" in code), "").strip()
    return stdout, stderr
