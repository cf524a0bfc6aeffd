"""The site state: one row per plan with the active site, the lock, pauses and what is still open.

Every write carries the row's ETag, so two writers never overwrite each other, and the epoch only grows, so a late
write of an earlier run is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode

from shared.models.errors import LostLockError, PlanBusyError, StateConflictError
from shared.models.evidence import Round
from shared.models.ids import Kind
from shared.models.looks import ReplicaLook, SiteLook
from shared.models.replica import ReplicaState
from shared.models.routing import ActiveSite
from shared.models.site_state import SiteState
from shared.models.steps import RunRef
from shared.policy.learned import with_one_more
from shared.policy.outage import primary_serves, round_view
from shared.store.tables import STATE, from_row, storage, table, to_entity, unknown_columns

_ROW = "state"
_STRUCTURES = frozenset(
    {
        "warnings",
        "known_bad",
        "last_look",
        "replica",
        "untold",
        "unseen_since",
        "home_commits",
        "not_cleared",
        "settle_proposal",
        "retire",
        "delivered",
        "durations",
        "readiness",
        "readiness_told",
        "escalated",
        "resolvers",
    }
)
_ATTEMPTS = 8
_SAME_NEWS = timedelta(minutes=1)


_UNPROTECTED: dict[str, Any] = {
    "last_set_at": None,
    "last_point_at": None,
    "last_point_holds": None,
    "point_trouble": None,
}
"""The recovery points of one site say nothing about the other."""


def routed(site: ActiveSite, before: SiteState) -> dict[str, Any]:
    """Traffic Manager's routing as stored: the active site, and since when the primary endpoint has been latched."""
    latched_at = (before.latched_at or datetime.now(UTC)) if site == "recovery" else None
    moved = site != before.active_site and {site, before.active_site} != {"both", "none"}
    return {"active_site": site, "latched_at": latched_at} | (_UNPROTECTED if moved else {})


def came_home(before: SiteState, now: datetime) -> dict[str, Any]:
    """The end of a failback. What was known of replication is from before: protection begins with the next good set."""
    return _UNPROTECTED | {
        "active_site": "primary",
        "latched_at": None,
        "writes_stopped_by": None,
        "failed_back_at": now,
        "down_since": None,
        "replica": None,
        "replica_good_at": None,
        "home_commits": {},
        "warnings": {},
    }


class _Stored(NamedTuple):
    """The state, the row's ETag (None while there is no row), and the columns that only a newer version knows."""

    state: SiteState
    etag: str | None
    unknown: dict[str, Any]


async def _read(plan: str) -> _Stored:
    async with storage():
        rows = await table(STATE)
        try:
            entity = await rows.get_entity(plan, _ROW)
        except ResourceNotFoundError:
            return _Stored(SiteState(plan=plan, created_at=datetime.now(UTC)), None, {})
    state = from_row(SiteState, entity, _STRUCTURES)
    return _Stored(state, entity.metadata["etag"], unknown_columns(entity, SiteState))


async def list_plans() -> list[str]:
    """Every plan that has a state, also one that is no longer deployed."""
    async with storage():
        rows = (await table(STATE)).query_entities("RowKey eq @row", parameters={"row": _ROW}, select=["PartitionKey"])
        return sorted([str(entity["PartitionKey"]) async for entity in rows])


async def read_state(plan: str) -> SiteState:
    """The current state; a plan without one serves from its primary."""
    return (await _read(plan)).state


async def change_state(plan: str, change: Callable[[SiteState], dict[str, Any]]) -> SiteState:
    """Reads, applies the result of ``change``, and writes under the ETag; repeats after a concurrent write.

    ``change`` may raise to refuse. An empty result writes nothing. Raises ``StateConflictError`` when concurrent writes
    persist.
    """
    for _ in range(_ATTEMPTS):
        state, etag, unknown = await _read(plan)
        wanted = change(state)
        if not wanted and etag is not None:
            return state
        changed = SiteState.model_validate(state.model_dump() | wanted)
        entity = unknown | to_entity(plan, _ROW, _columns(changed))
        async with storage():
            rows = await table(STATE)
            try:
                if etag is None:
                    await rows.create_entity(entity)
                else:
                    await rows.update_entity(
                        entity, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                    )
            except (ResourceModifiedError, ResourceExistsError):
                continue
        return changed
    raise StateConflictError(f"The state of {plan} keeps changing; try again.")


def _columns(state: SiteState) -> dict[str, Any]:
    """Structures as JSON values, and everything else as Table Storage's types."""
    plain = state.model_dump(mode="json", include=set(_STRUCTURES))
    return state.model_dump(mode="python", exclude=set(_STRUCTURES)) | plain


async def count_short_failure(plan: str, at: datetime) -> None:
    """The watch did not reach the primary once, and reached it at its next look."""
    await change_state(plan, lambda s: {"short_failures": s.short_failures + 1, "short_failure_at": at})


async def note_look(plan: str, seen: Round, quorum: int) -> None:
    """Stores the newest evidence."""
    await change_state(plan, lambda state: looked(state, seen, quorum))


def looked(state: SiteState, seen: Round, quorum: int) -> dict[str, Any]:
    """The changes by a check of the primary. An unchanged result is stored once a minute at most, and an older check
    never replaces a newer one.
    """
    says, before = round_view(seen.evidence, quorum).says, state.last_look
    look = SiteLook(at=seen.at, says=says, since=seen.at, evidence=seen.evidence)
    if before and seen.at <= before.at:
        return {}
    down_since = state.down_since
    if says == "down":
        down_since = down_since or seen.at
    elif says == "up" or primary_serves(seen.evidence):
        down_since = None
    outage = {} if down_since == state.down_since else {"down_since": down_since}
    if before is None or before.says != says:
        return {"last_look": look} | outage
    if seen.at - before.at < _SAME_NEWS and before.bad == look.bad:
        return outage
    return {"last_look": look.model_copy(update={"since": before.since})} | outage


def looked_at_replica(
    state: SiteState, at: datetime, message: ReplicaState | None, problem: str | None, home_commits: dict[str, datetime]
) -> dict[str, Any]:
    """The changes by a reading of the replica. The known age of its data only improves."""
    trouble, before = problem or (message.trouble_at(at) if message else None), state.replica
    if before and before.at > at:
        return {}
    moments = (message.until(at) if message else None, before.replicated_until if before else None)
    look = ReplicaLook(
        at=at,
        state=message.state if message else "unknown",
        connected=message.connected if message else None,
        queue_bytes=message.queue_bytes if message else None,
        replicated_until=max(filter(None, moments), default=None),
        problem=trouble,
        bad_since=((before.bad_since if before else None) or at) if trouble else None,
    )
    changes: dict[str, Any] = {"replica": look}
    if message and message.in_order:
        changes["replica_good_at"] = max(filter(None, (at, state.replica_good_at)))
    if home_commits:
        newer = {name: max(at, state.home_commits.get(name, at)) for name, at in home_commits.items()}
        changes["home_commits"] = state.home_commits | newer
    return changes


def point_ended(state: SiteState, now: datetime, trouble: str | None, holds: datetime | None = None) -> dict[str, Any]:
    """The changes by the end of the timer's recovery point. One that made way for a run is not a failure, and the timer
    begins another.
    """
    if trouble and state.active_run and not state.waits_for_home:
        return {"last_set_at": state.last_point_at}
    return {"point_trouble": trouble} | ({} if trouble else {"last_point_at": now, "last_point_holds": holds})


async def note_replica(
    plan: str, at: datetime, message: ReplicaState | None, problem: str | None, home_commits: dict[str, datetime]
) -> None:
    """Stores the replica's state, and the newest commit that was seen at the primary."""
    await change_state(plan, lambda state: looked_at_replica(state, at, message, problem, home_commits))


async def take_lock(plan: str, run_id: str, kind: Kind, over: str | None = None) -> RunRef:
    """Claims the plan for a run and returns the run with its epoch.

    ``over`` names a run whose lock may be taken over: it ended, or never started. Raises ``PlanBusyError`` when
    another run holds the plan. Claiming a lock that the run holds already changes nothing.
    """

    def lock(state: SiteState) -> dict[str, Any]:
        if state.active_run == run_id:
            return {}
        if state.active_run and state.active_run != over:
            raise PlanBusyError(state.active_run)
        return {
            "active_run": run_id,
            "active_kind": kind,
            "locked_at": datetime.now(UTC),
            "epoch": state.epoch + 1,
        }

    state = await change_state(plan, lock)
    return RunRef(run_id=run_id, plan=plan, epoch=state.epoch)


async def check_lock(run: RunRef) -> SiteState:
    """Raises ``LostLockError`` unless ``run`` holds its plan under its epoch."""
    state = await read_state(run.plan)
    if (state.active_run, state.epoch) != (run.run_id, run.epoch):
        raise LostLockError(f"Run {run.run_id} no longer holds {run.plan}.")
    return state


async def change_as(run: RunRef, **changes: Any) -> SiteState:
    """Changes the state in the name of a run; refused once the run's epoch is over."""
    return await change_as_by(run, lambda before: changes)


async def change_as_by(run: RunRef, change: Callable[[SiteState], dict[str, Any]]) -> SiteState:
    """The same, where the changes depend on the current state."""

    def guarded(state: SiteState) -> dict[str, Any]:
        if (state.active_run, state.epoch) != (run.run_id, run.epoch):
            raise LostLockError(f"Run {run.run_id} no longer holds {run.plan}.")
        return change(state)

    return await change_state(run.plan, guarded)


async def note_not_cleared(plan: str, run_id: str, left: list[str]) -> None:
    """Stores the leftovers of an ended run that could not be deleted, and why; nothing when all are gone."""

    def note(state: SiteState) -> dict[str, Any]:
        others = {other: what for other, what in state.not_cleared.items() if other != run_id}
        return {"not_cleared": others | ({run_id: left} if left else {})}

    await change_state(plan, note)


async def release_lock(run: RunRef, cooldown: timedelta | None = None, took: dict[str, float] | None = None) -> None:
    """Releases the plan, and postpones the next check by ``cooldown``: checks that fail now count as known until then.
    ``took`` are the run's durations, which are kept. A lock of another run is left.
    """

    def unlock(state: SiteState) -> dict[str, Any]:
        if (state.active_run, state.epoch) != (run.run_id, run.epoch):
            return {}
        changes: dict[str, Any] = {"active_run": None, "active_kind": None, "locked_at": None}
        if took:
            changes["durations"] = with_one_more(state.durations, took)
        if cooldown:
            changes["not_before"] = datetime.now(UTC) + cooldown
            changes["cooled_at"] = datetime.now(UTC)
            changes["known_bad"] = state.last_look.bad if state.last_look else []
        return changes

    await change_state(run.plan, unlock)
