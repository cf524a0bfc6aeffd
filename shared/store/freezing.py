"""Which run has frozen the replica, since when, and which freezings are over: guarded by the site state's ETag."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.models.errors import LostLockError
from shared.models.site_state import SiteState
from shared.models.steps import RunRef
from shared.store.site_state import change_state, read_state


async def mark_frozen(run: RunRef, freezing: datetime) -> None:
    """Records the freezing run and its start. Raises ``LostLockError`` for a run that may not freeze.

    A run must hold its plan; a keeper (epoch 0) may freeze only while no run is active. A freezing that is over, or
    that a later one has replaced, is not carried out on a redelivery.
    """
    await change_state(run.plan, lambda state: frozen(state, run, freezing))


def frozen(state: SiteState, run: RunRef, freezing: datetime) -> dict[str, Any]:
    """The changes by a freezing. Raises ``LostLockError`` as ``mark_frozen`` does."""
    if (state.active_run, state.epoch) != (run.run_id, run.epoch) and (run.epoch or state.active_run):
        raise LostLockError(f"{run.run_id} may not freeze the replica: {run.plan} is held by {state.active_run}.")
    if (state.thawed_through and freezing <= state.thawed_through) or (state.frozen_at and freezing < state.frozen_at):
        raise LostLockError(f"{run.run_id} has thawed the replica since, or frozen it again.")
    return {"frozen_by": run.run_id, "frozen_at": freezing}


async def is_frozen(plan: str, freezing: datetime) -> bool:
    """Whether the replica is frozen by this freezing and its thaw has not begun."""
    state = await read_state(plan)
    over = state.thawed_through is not None and freezing <= state.thawed_through
    return state.frozen_at == freezing and not over


async def mark_frozen_late(run: RunRef, freezing: datetime) -> None:
    """After Azure accepted the order: a freezing that was thawed meanwhile is recorded again, so that it is undone."""
    await change_state(run.plan, lambda state: frozen_late(state, run, freezing, datetime.now(UTC)))


def frozen_late(state: SiteState, run: RunRef, freezing: datetime, now: datetime) -> dict[str, Any]:
    """The changes when Azure accepts a freezing's order after its thaw: the freezing gets a new name, which the thaw
    that is being recorded does not know.
    """
    over = state.thawed_through is not None and freezing <= state.thawed_through
    free = state.frozen_at is None or state.frozen_at <= freezing
    return {"frozen_by": run.run_id, "frozen_at": now} if over and free else {}


async def mark_thawing(plan: str, freezing: datetime) -> bool:
    """Records that a freezing and earlier ones are over; False when the replica is not frozen by any of them."""
    after = await change_state(plan, lambda state: thawing(state, freezing))
    return after.frozen_at is not None and after.frozen_at <= freezing


def thawing(state: SiteState, freezing: datetime) -> dict[str, Any]:
    """The changes by the beginning of a thaw, also when there is nothing to thaw yet."""
    return {"thawed_through": max(freezing, state.thawed_through or freezing)}


async def mark_thawed(plan: str, freezing: datetime) -> None:
    """Records that replication has resumed, unless the replica has been frozen again since."""
    await change_state(plan, lambda state: thawed(state, freezing))


def thawed(state: SiteState, freezing: datetime) -> dict[str, Any]:
    """The changes by the end of a thaw."""
    return {"frozen_by": None, "frozen_at": None} if state.frozen_at and state.frozen_at <= freezing else {}
