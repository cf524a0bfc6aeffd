"""The history: runs and their steps.

Rows are written idempotently: the same step of the same run is the same row. Runs lie newest first within their plan,
and a run id leads to its row without a scan.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode

from shared.errors import StateConflictError, UnknownRunError
from shared.names import Kind, RunName, parse_run_id
from shared.records.site_state import SiteState, change_state, read_state
from shared.records.tables import RUNS, STEPS, from_row, storage, table, to_entity, unknown_columns
from shared.runs import Outcome, Phase, RecoveryRun, RunRef, Step, StepStatus

_RUN_STRUCTURES = frozenset({"verdict_detail", "last_look", "recovery_point", "hindsight", "answers"})
NOT_SEALED = {"seal", "sealed_over", "hindsight"}
_STEP_STRUCTURES = frozenset({"detail"})
_ATTEMPTS = 5
AFTER_THE_SEAL = {"seal_run", "release_run", "notify", "thaw_replication", "claim_run"}


def _row(run: RecoveryRun, stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A run as an entity, with the columns of what was ``stored`` that only a newer version knows."""
    name = _name(run.run_id)
    fields = run.model_dump(mode="python")
    kept = unknown_columns(stored or {}, RecoveryRun)
    return kept | to_entity(
        name.plan, name.row_key, fields | {"phase": run.phase.value, "outcome": run.outcome and run.outcome.value}
    )


def _name(run_id: str) -> RunName:
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
    """Raises ``UnknownRunError`` when the id cannot be, or is not, on record."""
    name = _name(run_id)
    async with storage():
        rows = await table(RUNS)
        try:
            entity = await rows.get_entity(name.plan, name.row_key)
        except ResourceNotFoundError as error:
            raise UnknownRunError from error
    return from_row(RecoveryRun, entity, _RUN_STRUCTURES)


async def update_run(run_id: str, *, forced: bool = False, number: int | None = None, **changes: Any) -> RecoveryRun:
    """Changes a run's row under its ETag, as far as it takes the changes (``RecoveryRun.takes``), and returns the row.

    Repeating a change is harmless, and a sealed run changes no more. Raises ``StateConflictError`` when the row keeps
    changing underneath.
    """
    name = _name(run_id)
    for _ in range(_ATTEMPTS):
        async with storage():
            rows = await table(RUNS)
            try:
                entity = await rows.get_entity(name.plan, name.row_key)
            except ResourceNotFoundError as error:
                raise UnknownRunError from error
            run = from_row(RecoveryRun, entity, _RUN_STRUCTURES)
            if run.seal and not set(changes) <= NOT_SEALED:
                return run
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
        values["before"] = _name(before).row_key
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


async def begin_step(run: RunRef, name: str, target: str, attempt: int) -> None:
    """Writes the intent before the act: a step that was cut off shows as running. A run that has ended keeps its
    steps as they are.
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
            if said := entity.get("error"):
                detail = json.loads(entity.get("detail") or "{}")
                detail["earlier"] = [*detail.get("earlier", []), said][-10:]
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
    """Writes how a step ended, or how far it is. Without ``attempts`` the count of ``begin_step`` stays. A run that has
    ended keeps its steps as they are, but for what is written ``at_the_end``, before it is sealed.
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
    """Whether the step is not to be written: its run is over, and a step that the engine delivers again late must not
    change what is sealed; or it is no run's, since the small orchestrations between runs keep no steps.
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
    _name(run_id)
    found: list[Step] = []
    async with storage():
        rows = await table(STEPS)
        async for entity in rows.query_entities("PartitionKey eq @run", parameters={"run": run_id}):
            step = from_row(Step, entity, _STEP_STRUCTURES)
            found.append(step.model_copy(update={"error": step.error or None}))
    return sorted(found, key=lambda step: (step.started_at, step.name, step.target))


async def seal_run(run_id: str, **last_facts: Any) -> RecoveryRun:
    """Ends a run and seals it: SHA-256 over its canonical rows and the seal before it, in the order of sealing.

    The head of the chain is in the site state, under its ETag, so that two runs that end together are sealed one after
    the other. Sealing again, after having been cut off anywhere, gives the same seal.
    """
    run = await update_run(run_id, forced=True, phase=Phase.COMPLETED, ended_at=datetime.now(UTC), **last_facts)
    if run.seal:
        return run
    await _end_what_was_cut_off(run_id)
    rows = await _rows_to_seal(run_id)

    while True:
        head = await read_state(run.plan)
        if head.last_sealed_run not in (None, run_id):
            await _finish_the_last_seal(head)

        def append(state: SiteState, known: str | None = head.last_sealed_run) -> dict[str, Any]:
            if state.last_sealed_run == run_id:
                return {}
            if state.last_sealed_run != known:
                raise _SealedMeanwhileError
            return {
                "last_seal": seal_of(rows, state.last_seal),
                "last_sealed_run": run_id,
                "sealed_over": state.last_seal,
            }

        with contextlib.suppress(_SealedMeanwhileError):
            state = await change_state(run.plan, append)
            return await update_run(run_id, seal=state.last_seal, sealed_over=state.sealed_over)


class _SealedMeanwhileError(Exception):
    """Another run was sealed between the look at the head of the chain and the writing of it."""


async def _finish_the_last_seal(head: SiteState) -> None:
    """Whoever sealed last may have died before its own row had the seal; nothing is sealed over a seal that no row
    holds.
    """
    assert head.last_sealed_run is not None
    last = await read_run(head.last_sealed_run)
    if last.seal is None:
        await update_run(last.run_id, seal=head.last_seal, sealed_over=head.sealed_over)


async def _end_what_was_cut_off(run_id: str) -> None:
    """No step goes on after its run: what an abort cut off must not look as if it still did."""
    run = RunRef(run_id=run_id, plan=_name(run_id).plan, epoch=0)
    for step in await read_steps(run_id):
        if step.status == "running" and step.name not in AFTER_THE_SEAL:
            said = step.error or "It was not finished when the run ended."
            await end_step(run, step.name, step.target, "failed", error=said, detail=step.detail, at_the_end=True)


async def _rows_to_seal(run_id: str) -> list[dict[str, Any]]:
    """The run's row and its steps' rows as they are stored; what follows the sealing itself is left out."""
    name = _name(run_id)
    async with storage():
        rows = [dict(await (await table(RUNS)).get_entity(name.plan, name.row_key))]
        steps = (await table(STEPS)).query_entities("PartitionKey eq @run", parameters={"run": run_id})
        rows += [dict(entity) async for entity in steps if str(entity["name"]) not in AFTER_THE_SEAL]
    return rows


def seal_of(rows: list[dict[str, Any]], previous_seal: str | None) -> str:
    """SHA-256 over the stored rows, as JSON with sorted keys, in the order of their keys, and the seal before.

    Times are ISO 8601 in UTC; ``NOT_SEALED`` is left out. Anybody who can read the tables can check it.
    """

    def plain(value: Any) -> Any:
        return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value

    told = [{k: plain(v) for k, v in row.items() if k not in NOT_SEALED} for row in rows]
    told.sort(key=lambda row: (row["PartitionKey"], row["RowKey"]))
    text = json.dumps({"rows": told, "previous": previous_seal}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


async def end_orphan(run_id: str, because: str, outcome: Outcome = Outcome.FAILED) -> None:
    """Ends and seals the row of a run that will not do so itself; one that was never written down has no row to end."""
    with contextlib.suppress(UnknownRunError):
        run = await read_run(run_id)
        if run.outcome is None:
            await seal_run(run_id, outcome=outcome, ended_because=because, waiting_for=None)


async def keeps_its_point(run_id: str) -> bool:
    """Whether a run's recovery point outlives it, so that another run may rely on it."""
    try:
        return (await read_run(run_id)).keeps_its_point
    except UnknownRunError:
        return False
