"""The replica's state, as a script on the replication machine reports it in one JSON line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationError

from shared.models.acts import last_json_line, streams_of
from shared.models.base import Strict
from shared.models.errors import ReplicationError


def _known_state(value: Any) -> Any:
    """Double-Take reports meaningless states, null and ``Unknown`` among them, while a job has no connection."""
    return value if value in ("good", "mirroring", "stopped") else "unknown"


_AHEAD = timedelta(minutes=2)
"""Allowed clock skew."""


def _as_utc(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


class ReplicaState(Strict):
    """A script's report. ``replicated_until`` is the newest source change that the replica holds, also when the source
    is gone; None where unknown. ``connected`` is whether the source sends; None where the script does not report it.
    """

    state: Annotated[Literal["good", "mirroring", "stopped", "unknown"], BeforeValidator(_known_state)]
    frozen: bool | None
    connected: bool | None = None
    queue_bytes: int | None = None
    replicated_until: Annotated[datetime, AfterValidator(_as_utc)] | None = None
    message: Annotated[str, BeforeValidator(lambda value: "" if value is None else value)] = ""

    @property
    def usable(self) -> bool:
        """A replica that is mirroring, stopped in mid-write or in an unknown state must not be copied."""
        return self.state == "good"

    @property
    def not_copyable(self) -> str | None:
        """After a freeze: why its disks must not be copied now, or None when they agree in time."""
        if not self.usable:
            return self.trouble
        return None if self.frozen else f"it could not be paused: {self.message or 'its script reported no reason'}"

    @property
    def in_order(self) -> bool:
        """Whether the replica holds everything that the source has sent, and the source sends."""
        return self.usable and self.connected is True and self.queue_bytes == 0

    def until(self, now: datetime) -> datetime | None:
        """``replicated_until``, unless it is in the future: a script that returns local time would hide old data."""
        reported = self.replicated_until
        return reported if reported and reported <= now + _AHEAD else None

    def trouble_at(self, now: datetime) -> str | None:
        """As ``trouble``; also a script whose time is in the future."""
        if self.replicated_until and self.until(now) is None:
            return "its script reports a replicated_until in the future; it must be UTC"
        return self.trouble

    @property
    def trouble(self) -> str | None:
        """The problem with replication, in a few words; None when it is healthy or only behind."""
        if not self.usable:
            return {"mirroring": "it is mirroring again", "stopped": "it has stopped"}.get(
                self.state, "its state is unknown"
            )
        return "the source is not connected" if self.connected is False else None


def read_output(output: list[dict[str, Any]] | None) -> ReplicaState:
    """Reads the last JSON line of a finished script. Raises ``ReplicationError`` with what was printed instead."""
    stdout, stderr = streams_of(output)
    try:
        return ReplicaState.model_validate(json.loads(last_json_line(stdout)))
    except (IndexError, ValueError, ValidationError) as error:
        heard = (stderr or stdout.strip() or "nothing")[:200]
        raise ReplicationError(
            f"The last line of the replication script's output is not its JSON line. Output: {heard}"
        ) from error
