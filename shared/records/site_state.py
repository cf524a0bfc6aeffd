"""The site state: one row per plan with the active site, the lock, pauses and what is still open.

Every write carries the row's ETag, so two writers never overwrite each other, and the epoch only grows, so a late
write of a former run is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode

from shared.cloud.traffic import ActiveSite
from shared.errors import LostLockError, PlanBusyError, StateConflictError
from shared.names import Kind
from shared.plan import Strict
from shared.records.tables import STATE, from_entity, storage, table, to_entity
from shared.runs import RunRef

_ROW = "state"
_STRUCTURES = frozenset({"warnings"})
_ATTEMPTS = 8


class SiteState(Strict):
    """What Coldsite knows of a plan's site between runs.

    ``not_before`` postpones the next look after a run that ended without a failover; ``frozen_by`` is the run that
    froze the replica and has not thawed it; ``last_seal`` is the head of the history's chain, made by
    ``last_sealed_run`` over ``sealed_over``; ``warnings`` are sentences on what is not as it must be between runs, by
    what they are about.
    """

    plan: str
    created_at: datetime
    active_site: ActiveSite = "primary"
    latched: bool = False
    latched_at: datetime | None = None
    active_run: str | None = None
    active_kind: Kind | None = None
    locked_at: datetime | None = None
    epoch: int = 0
    not_before: datetime | None = None
    paused_until: datetime | None = None
    pause_reason: str | None = None
    frozen_by: str | None = None
    frozen_at: datetime | None = None
    last_seal: str | None = None
    last_sealed_run: str | None = None
    sealed_over: str | None = None
    last_set_at: datetime | None = None
    warnings: dict[str, str] = {}


def routed(site: ActiveSite, before: SiteState) -> dict[str, Any]:
    """What is remembered of where Traffic Manager sends customers: the active site, and since when the primary is
    locked out.
    """
    latched = site == "recovery"
    latched_at = (before.latched_at or datetime.now(UTC)) if latched else None
    return {"active_site": site, "latched": latched, "latched_at": latched_at}


async def _read(plan: str) -> tuple[SiteState, str | None]:
    async with storage():
        rows = await table(STATE)
        try:
            entity = await rows.get_entity(plan, _ROW)
        except ResourceNotFoundError:
            return SiteState(plan=plan, created_at=datetime.now(UTC)), None
    return SiteState.model_validate(from_entity(entity, _STRUCTURES)), entity.metadata["etag"]


async def read_state(plan: str) -> SiteState:
    """The state as it is now; a plan that was never touched serves from its primary."""
    return (await _read(plan))[0]


async def change_state(plan: str, change: Callable[[SiteState], dict[str, Any]]) -> SiteState:
    """Reads, lets ``change`` say what becomes different, and writes under the ETag; again when somebody was quicker.

    ``change`` may raise to refuse. An empty answer writes nothing. Raises ``StateConflictError`` when the row keeps
    changing underneath.
    """
    for _ in range(_ATTEMPTS):
        state, etag = await _read(plan)
        wanted = change(state)
        if not wanted and etag is not None:
            return state
        changed = SiteState.model_validate(state.model_dump() | wanted)
        entity = to_entity(plan, _ROW, changed.model_dump(mode="python"))
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


async def take_lock(plan: str, run_id: str, kind: Kind, over: str | None = None) -> RunRef:
    """Takes the plan for a run and returns the run with its epoch.

    ``over`` names a run whose lock may be taken over: it ended, or never started. Raises ``PlanBusyError`` when
    another run holds the plan. Taking a lock that one holds already changes nothing.
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

    def guarded(state: SiteState) -> dict[str, Any]:
        if (state.active_run, state.epoch) != (run.run_id, run.epoch):
            raise LostLockError(f"Run {run.run_id} no longer holds {run.plan}.")
        return changes

    return await change_state(run.plan, guarded)


async def mark_frozen(run: RunRef) -> None:
    """Writes down who freezes the replica. Raises ``LostLockError`` for whom it is not to freeze now.

    A run must hold its plan; a keeper (epoch 0) may freeze only while no run is at work.
    """

    def mark(state: SiteState) -> dict[str, Any]:
        holder = (state.active_run, state.epoch) == (run.run_id, run.epoch)
        if not holder and (run.epoch or state.active_run):
            raise LostLockError(f"{run.run_id} may not freeze the replica: {run.plan} is held by {state.active_run}.")
        return {"frozen_by": run.run_id, "frozen_at": datetime.now(UTC)}

    await change_state(run.plan, mark)


async def release_lock(run: RunRef, cooldown: timedelta | None = None) -> None:
    """Gives the plan back, and postpones the next look by ``cooldown``. A lock that is no longer one's own is left."""

    def unlock(state: SiteState) -> dict[str, Any]:
        if (state.active_run, state.epoch) != (run.run_id, run.epoch):
            return {}
        changes: dict[str, Any] = {"active_run": None, "active_kind": None, "locked_at": None}
        if cooldown:
            changes["not_before"] = datetime.now(UTC) + cooldown
        return changes

    await change_state(run.plan, unlock)
