"""Which recovery point to use: a fresh set, or one on record."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from shared.models.base import Strict
from shared.models.durations import spoken


class Candidate(Strict):
    """A complete set on record."""

    set_id: str
    taken_at: datetime
    consistency: Literal["application", "crash"]


class Choice(Strict):
    """``take_new`` or a ``set_id``, or neither: then the operator must act. ``because`` gives the reason."""

    take_new: bool = False
    set_id: str | None = None
    because: str


def choose(wanted: str, replica_usable: bool, replica_says: str, points: list[Candidate], now: datetime) -> Choice:
    """Chooses by ``wanted``: latest, latest_good, a set's id, or ``before:`` a time. ``points`` are newest first.

    A replica that is mirroring or was stopped in mid-write is never used: the newest set on record is, with its age
    stated.
    """
    if wanted == "latest" and replica_usable:
        return Choice(take_new=True, because=f"The replica is healthy ({replica_says}); a new recovery point is taken.")
    prefix = "" if wanted != "latest" else f"The replica is not usable ({replica_says}). "
    if wanted in ("latest", "latest_good"):
        fit = points[:1]
    elif wanted.startswith("before:"):
        limit = datetime.fromisoformat(wanted.removeprefix("before:"))
        limit = limit if limit.tzinfo else limit.replace(tzinfo=UTC)
        fit = [p for p in points if p.taken_at < limit][:1]
    else:
        fit = [p for p in points if p.set_id == wanted]
    if not fit:
        return Choice(because=f"{prefix}No recovery point matches '{wanted}'.")
    point = fit[0]
    age = spoken((now - point.taken_at).total_seconds())
    return Choice(set_id=point.set_id, because=f"{prefix}Recovery point {point.set_id}, {age} old, is used.")
