"""The history: runs and their steps.

Rows are written idempotently: the same step of the same run is the same row. Runs are sorted newest first within their
plan, and a run id identifies its row without a scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode

from shared.models.errors import StateConflictError, UnknownRunError
from shared.models.ids import Kind, RunName, parse_run_id
from shared.models.runs import Outcome, RecoveryRun
from shared.store.tables import RUNS, from_row, storage, table, to_entity, unknown_columns

_RUN_STRUCTURES = frozenset(
    {"verdict_detail", "last_look", "recovery_point", "hindsight", "answers", "builds_again", "home"}
)
_ATTEMPTS = 5
_DRILLS_LOOKED_AT = 20


def _row(run: RecoveryRun, stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A run as an entity, with the ``stored`` columns that only a newer version knows."""
    name = run_name(run.run_id)
    fields = run.model_dump(mode="python")
    kept = unknown_columns(stored or {}, RecoveryRun)
    return kept | to_entity(
        name.plan, name.row_key, fields | {"phase": run.phase.value, "outcome": run.outcome and run.outcome.value}
    )


def run_name(run_id: str) -> RunName:
    name = parse_run_id(run_id)
    if name is None:
        raise UnknownRunError
    return name


async def open_run(run: RecoveryRun) -> None:
    """Writes a new run; writing it again changes nothing."""
    async with storage():
        rows = await table(RUNS)
        try:
            await rows.create_entity(_row(run))
        except ResourceExistsError:
            return


async def read_run(run_id: str) -> RecoveryRun:
    """Raises ``UnknownRunError`` when the id is invalid or not on record."""
    name = run_name(run_id)
    async with storage():
        rows = await table(RUNS)
        try:
            entity = await rows.get_entity(name.plan, name.row_key)
        except ResourceNotFoundError as error:
            raise UnknownRunError from error
    return from_row(RecoveryRun, entity, _RUN_STRUCTURES)


async def update_run(run_id: str, *, forced: bool = False, number: int | None = None, **changes: Any) -> RecoveryRun:
    """Changes a run's row under its ETag, as far as it accepts them (``RecoveryRun.takes``), and returns the row.

    Repeating a change is harmless. Raises ``StateConflictError`` when concurrent writes
    persist.
    """
    name = run_name(run_id)
    for _ in range(_ATTEMPTS):
        async with storage():
            rows = await table(RUNS)
            try:
                entity = await rows.get_entity(name.plan, name.row_key)
            except ResourceNotFoundError as error:
                raise UnknownRunError from error
            run = from_row(RecoveryRun, entity, _RUN_STRUCTURES)
            wanted = run.takes(changes, forced=forced, number=number)
            if not wanted:
                return run
            changed = RecoveryRun.model_validate(run.model_dump() | wanted)
            try:
                await rows.update_entity(
                    _row(changed, entity),
                    mode=UpdateMode.REPLACE,
                    etag=entity.metadata["etag"],
                    match_condition=MatchConditions.IfNotModified,
                )
            except ResourceModifiedError:
                continue
            return changed
    raise StateConflictError(f"The row of run {run_id} keeps changing.")


async def list_runs(
    plan: str, kind: Kind | None = None, limit: int = 50, before: str | None = None
) -> list[RecoveryRun]:
    """A plan's runs, newest first; ``before`` is a run id, of this plan or of another, and older ones follow."""
    parts, values = ["PartitionKey eq @plan"], {"plan": plan}
    if before:
        parts.append("RowKey gt @before")
        values["before"] = run_name(before).row_key
    if kind:
        parts.append("kind eq @kind")
        values["kind"] = kind
    found: list[RecoveryRun] = []
    async with storage():
        rows = await table(RUNS)
        async for entity in rows.query_entities(
            " and ".join(parts), parameters=values, results_per_page=min(limit, 1000)
        ):
            found.append(from_row(RecoveryRun, entity, _RUN_STRUCTURES))
            if len(found) >= limit:
                break
    return found


async def last_good_drill(plan: str) -> RecoveryRun | None:
    """The newest successful one among the plan's newest drills."""
    drills = await list_runs(plan, kind="drill", limit=_DRILLS_LOOKED_AT)
    return next((drill for drill in drills if drill.outcome is Outcome.SUCCEEDED), None)


async def keeps_its_point(run_id: str) -> bool:
    """Whether a run's recovery point outlives it, so that another run may use it."""
    try:
        return (await read_run(run_id)).keeps_its_point
    except UnknownRunError:
        return False
