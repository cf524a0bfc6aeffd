"""The history's steps: written before and after each activity, never after the run's end."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import UpdateMode

from shared.models.errors import UnknownRunError
from shared.models.steps import RunRef, Step, StepStatus
from shared.store.runs import read_run, run_name
from shared.store.tables import STEPS, from_row, storage, table, to_entity

_STEP_STRUCTURES = frozenset({"detail"})
AFTER_THE_SEAL = {"seal_run", "release_run", "notify", "thaw_replication", "claim_run"}


async def begin_step(run: RunRef, name: str, target: str, attempt: int) -> None:
    """Writes the intent before the act: an interrupted step shows as running. A run that has ended keeps its steps as
    they are.
    """
    if await _keeps_no_more(run, name):
        return
    now = datetime.now(UTC)
    first = {"name": name, "target": target, "status": "running", "attempts": attempt, "started_at": now}
    async with storage():
        rows = await table(STEPS)
        try:
            await rows.create_entity(to_entity(run.run_id, _step_key(name, target), first))
        except ResourceExistsError:
            entity = await rows.get_entity(run.run_id, _step_key(name, target))
            attempts = max(attempt, int(entity["attempts"]) + 1)
            again: dict[str, Any] = {"status": "running", "attempts": attempts}
            if message := entity.get("error"):
                detail = json.loads(entity.get("detail") or "{}")
                detail["earlier"] = [*detail.get("earlier", []), message][-10:]
                again["detail"] = detail
            await rows.update_entity(to_entity(run.run_id, _step_key(name, target), again), mode=UpdateMode.MERGE)


async def end_step(
    run: RunRef,
    name: str,
    target: str,
    status: StepStatus,
    *,
    attempts: int | None = None,
    started_at: datetime | None = None,
    error: str | None = None,
    detail: dict[str, Any] | None = None,
    at_the_end: bool = False,
) -> None:
    """Writes a step's end or progress. Without ``attempts`` the count of ``begin_step`` stays. A run that has ended
    keeps its steps as they are, except for writes ``at_the_end``, before it is sealed.
    """
    if not at_the_end and await _keeps_no_more(run, name):
        return
    now = datetime.now(UTC)
    fields: dict[str, Any] = {"name": name, "target": target, "status": status, "error": error or "", "detail": detail}
    if attempts is not None:
        fields |= {"attempts": attempts, "started_at": started_at or now}
    if status != "running":
        fields["ended_at"] = now
    async with storage():
        rows = await table(STEPS)
        await rows.upsert_entity(to_entity(run.run_id, _step_key(name, target), fields), mode=UpdateMode.MERGE)


async def _keeps_no_more(run: RunRef, step: str) -> bool:
    """Whether the step must not be written: its run is over, and a late redelivery must not change sealed rows; or it
    has no run, since the small orchestrations between runs keep no steps.
    """
    if run.epoch == 0:
        return True
    if step in AFTER_THE_SEAL:
        return False
    try:
        return (await read_run(run.run_id)).outcome is not None
    except UnknownRunError:
        return False


def _step_key(name: str, target: str) -> str:
    return f"{name}|{target.replace('/', ':')}"


async def read_steps(run_id: str) -> list[Step]:
    """A run's steps in the order in which they began."""
    run_name(run_id)
    found: list[Step] = []
    async with storage():
        rows = await table(STEPS)
        async for entity in rows.query_entities("PartitionKey eq @run", parameters={"run": run_id}):
            step = from_row(Step, entity, _STEP_STRUCTURES)
            found.append(step.model_copy(update={"error": step.error or None}))
    return sorted(found, key=lambda step: (step.started_at, step.name, step.target))
