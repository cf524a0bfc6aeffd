"""The seal over an ended run: a hash chain that reveals later changes."""

from __future__ import annotations

import contextlib
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from shared.models.errors import UnknownRunError
from shared.models.runs import Outcome, Phase, RecoveryRun
from shared.models.steps import RunRef
from shared.store.runs import NOT_SEALED, read_run, run_name, update_run
from shared.store.site_state import SiteState, change_state, read_state
from shared.store.steps import AFTER_THE_SEAL, end_step, read_steps
from shared.store.tables import RUNS, STEPS, storage, table


async def seal_run(run_id: str, **last_facts: Any) -> RecoveryRun:
    """Ends a run and seals it: SHA-256 over its canonical rows and the seal before it, in the order of sealing.

    The head of the chain is in the site state, under its ETag, so that two runs that end together are sealed one after
    the other. Sealing again, after an interruption anywhere, results in the same seal.
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
    """Another run was sealed between reading and writing the head of the chain."""


async def _finish_the_last_seal(head: SiteState) -> None:
    """The last sealing may have been interrupted before its row had the seal; no run is sealed over a seal without a
    row.
    """
    assert head.last_sealed_run is not None
    last = await read_run(head.last_sealed_run)
    if last.seal is None:
        await update_run(last.run_id, seal=head.last_seal, sealed_over=head.sealed_over)


async def _end_what_was_cut_off(run_id: str) -> None:
    """No step outlives its run: a step that an abort interrupted must not appear as running."""
    run = RunRef(run_id=run_id, plan=run_name(run_id).plan, epoch=0)
    for step in await read_steps(run_id):
        if step.status == "running" and step.name not in AFTER_THE_SEAL:
            message = step.error or "It was not finished when the run ended."
            await end_step(run, step.name, step.target, "failed", error=message, detail=step.detail, at_the_end=True)


async def _rows_to_seal(run_id: str) -> list[dict[str, Any]]:
    """The run's row and its steps' rows as stored, without later additions."""
    name = run_name(run_id)
    async with storage():
        rows = [dict(await (await table(RUNS)).get_entity(name.plan, name.row_key))]
        steps = (await table(STEPS)).query_entities("PartitionKey eq @run", parameters={"run": run_id})
        rows += [dict(entity) async for entity in steps if str(entity["name"]) not in AFTER_THE_SEAL]
    return rows


def seal_of(rows: list[dict[str, Any]], previous_seal: str | None) -> str:
    """SHA-256 over the stored rows, as JSON with sorted keys, in the order of their keys, and the seal before.

    Times are ISO 8601 in UTC; ``NOT_SEALED`` is left out. Every reader of the tables can verify it.
    """

    def plain(value: Any) -> Any:
        return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value

    plain_rows = [{k: plain(v) for k, v in row.items() if k not in NOT_SEALED} for row in rows]
    plain_rows.sort(key=lambda row: (row["PartitionKey"], row["RowKey"]))
    text = json.dumps({"rows": plain_rows, "previous": previous_seal}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


async def end_orphan(run_id: str, because: str, outcome: Outcome = Outcome.FAILED) -> None:
    """Ends and seals the row of a run that will not do so itself; a run that was never stored has no row to end."""
    with contextlib.suppress(UnknownRunError):
        run = await read_run(run_id)
        if run.outcome is None:
            await seal_run(run_id, outcome=outcome, ended_because=because, waiting_for=None)
