"""The names that must agree everywhere: run ids, instances, events, resources and tags."""

from __future__ import annotations

import re
import secrets  # noqa: TID251 (a run is named once, by the service that starts it)
from datetime import datetime
from typing import Literal, NamedTuple

Kind = Literal["failover", "drill", "failback"]

EVENT_ABORT = "abort"
EVENT_APPROVE = "approve"
EVENT_REJECT = "reject"
EVENT_RETRY = "retry"
EVENT_PROCEED = "proceed"
EVENT_COMMIT = "commit"
EVENT_PROGRESS = "progress"
EVENT_GO = "go"
EVENT_PREPARATION_OVER = "preparation_over"
EVENT_ALERT = "alert"

TAG_RUN = "coldsite-run"
TAG_PLAN = "coldsite-plan"
TAG_WORKLOAD = "coldsite-workload"
TAG_SET = "coldsite-set"
TAG_TAKEN_AT = "coldsite-taken-at"
TAG_DATA_UNTIL = "coldsite-data-until"
UNKNOWN: Literal["unknown"] = "unknown"

_LETTERS: dict[Kind, str] = {"failover": "f", "drill": "d", "failback": "b"}
PLAN_NAME = r"[a-z][a-z0-9]{0,30}(-[a-z0-9]+)*"
"""A plan's name; at most forty characters."""
_RUN_ID = re.compile(r"(?P<plan>[a-z][a-z0-9-]{0,39})-(?P<kind>[fdb])(?P<at>[0-9]{17})-(?P<salt>[0-9a-f]{4})")
RUN_ID = re.sub(r"\?P<\w+>", "", _RUN_ID.pattern)
"""The same for use elsewhere, without the names of its groups."""


class RunName(NamedTuple):
    """The parts of a run id: its plan, kind, time and a random end."""

    plan: str
    kind: Kind
    at: str
    salt: str

    @property
    def row_key(self) -> str:
        """Newest first without a scan: Table Storage sorts row keys in ascending order, so the time is inverted."""
        return f"{10**17 - int(self.at):017d}-{self.salt}"

    @property
    def short(self) -> str:
        """The part that names resources: unique within a plan, and legal in every Azure resource name."""
        return f"{_LETTERS[self.kind]}{self.at[2:14]}-{self.salt}"


def new_run_id(plan: str, kind: Kind, now: datetime) -> str:
    """A fresh run id, which is also its orchestration's instance id."""
    stamp = now.strftime("%Y%m%d%H%M%S") + f"{now.microsecond // 1000:03d}"
    return f"{plan}-{_LETTERS[kind]}{stamp}-{secrets.token_hex(2)}"


def parse_run_id(run_id: str) -> RunName | None:
    """The parts of a run id, or None when it cannot be one."""
    match = _RUN_ID.fullmatch(run_id)
    if match is None:
        return None
    kind = next(kind for kind, letter in _LETTERS.items() if letter == match["kind"])
    return RunName(match["plan"], kind, match["at"], match["salt"])


def child_instance(run_id: str, workload: str, attempt: int) -> str:
    """The instance id of one workload's recovery; an id is used once."""
    return f"{run_id}:{workload}:{attempt}"


def preparation_instance(run_id: str) -> str:
    """The instance id of the preparation that runs beside a failover's confirmation."""
    return f"{run_id}:prepared"


def _short(run_id: str) -> str:
    name = parse_run_id(run_id)
    return name.short if name else run_id


def machine_name(run_id: str, workload: str) -> str:
    """From run and workload, never from the tried size: a second attempt is the same machine."""
    return f"{workload}-{_short(run_id)}"


def disk_name(run_id: str, workload: str, label: str) -> str:
    return f"{workload}-{label}-{_short(run_id)}"


def snapshot_name(set_id: str, workload: str, label: str) -> str:
    return f"{workload}-{label}-{set_id}"


def set_id(run_id: str, attempt: int) -> str:
    """The id of the recovery point that a run takes; a further attempt is another point in time."""
    return f"set-{_short(run_id)}" + (f"-{attempt}" if attempt > 1 else "")
