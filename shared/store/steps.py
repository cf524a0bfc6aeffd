"""The history's steps: written before and after each activity. Those of an ended run are in its document."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import UpdateMode

from shared.models.steps import Step, StepStatus
from shared.store.runs import run_name
from shared.store.tables import STEPS, from_row, storage, table, to_entity

_STEP_STRUCTURES = frozenset({"detail"})


async def begin_step(run_id: str, name: str, target: str, attempt: int) -> None:
    """Writes the intent before the act: an interrupted step shows as running."""
    now = datetime.now(UTC)
    first = {"name": name, "target": target, "status": "running", "attempts": attempt, "started_at": now}
    async with storage():
        rows = await table(STEPS)
        try:
            await rows.create_entity(to_entity(run_id, _step_key(name, target), first))
        except ResourceExistsError:
            entity = await rows.get_entity(run_id, _step_key(name, target))
            attempts = max(attempt, int(entity["attempts"]) + 1)
            again: dict[str, Any] = {"status": "running", "attempts": attempts}
            if message := entity.get("error"):
                detail = json.loads(entity.get("detail") or "{}")
                detail["earlier"] = [*detail.get("earlier", []), message][-10:]
                again["detail"] = detail
            await rows.update_entity(to_entity(run_id, _step_key(name, target), again), mode=UpdateMode.MERGE)


async def end_step(
    run_id: str,
    name: str,
    target: str,
    status: StepStatus,
    *,
    attempts: int | None = None,
    started_at: datetime | None = None,
    error: str | None = None,
    detail: dict[str, Any] | None = None,
    took: float | None = None,
) -> None:
    """Writes a step's end or progress. Without ``attempts`` the count of ``begin_step`` stays."""
    now = datetime.now(UTC)
    fields: dict[str, Any] = {"name": name, "target": target, "status": status, "error": error or "", "detail": detail}
    if took is not None:
        fields["took"] = took
    if attempts is not None:
        fields |= {"attempts": attempts, "started_at": started_at or now}
    if status != "running":
        fields["ended_at"] = now
    async with storage():
        rows = await table(STEPS)
        await rows.upsert_entity(to_entity(run_id, _step_key(name, target), fields), mode=UpdateMode.MERGE)


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
