"""The recovery point that a request names."""

from __future__ import annotations

from datetime import UTC, datetime

from functions.http.responses import BadRequestError
from shared.models import errors
from shared.models.durations import spoken_moment
from shared.models.operations import PointInTime
from shared.models.plan import RecoveryPlan
from shared.policy.recovery_points import Candidate, choose
from shared.services.usable_points import usable_points


async def wanted_point(plan: RecoveryPlan, wanted: str) -> PointInTime | None:
    """A recovery point that is requested by name or by time must exist before anything is started. None for a new one.
    Raises ``RefusedError``.
    """
    if wanted == "latest":
        return None
    if wanted.startswith("before:"):
        moment_of(wanted.removeprefix("before:"))
    points = await usable_points(plan)
    candidates = [Candidate(set_id=p.set_id, taken_at=p.taken_at, consistency=p.consistency) for p in points]
    choice = choose(wanted, replica_usable=True, replica_says="", points=candidates, now=datetime.now(UTC))
    if choice.set_id is None:
        known = [{"id": p.set_id, "taken_at": p.taken_at.isoformat()} for p in points]
        newest = (
            f"The newest is {points[0].set_id} of {spoken_moment(points[0].taken_at)}" if points else "There is none"
        )
        raise errors.RefusedError(
            f"No recovery point matches {wanted!r}. {newest}; `coldsite points {plan.name}` lists them.",
            points=known,
        )
    return next(point for point in points if point.set_id == choice.set_id)


def moment_of(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequestError(
            "recovery_point: before: needs a time, for example before:2027-01-15T20:00:00Z", 422
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
