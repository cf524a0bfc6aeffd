"""Ends a run: its row says so, no step stays unfinished, and its document is written."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

from shared.models.errors import UnknownRunError
from shared.models.runs import STEPS_AFTER_THE_END, Outcome, Phase, RecoveryRun
from shared.models.steps import Step
from shared.store.document_archive import keep_copy
from shared.store.documents import append_document, read_document, recorded
from shared.store.runs import read_run, update_run
from shared.store.steps import end_step, read_steps


async def end_run(run_id: str, **last_facts: Any) -> str | None:
    """Ends a run and writes its document. Returns why the document's copy could not be stored, or None.

    From here the run is unchangeable: its row accepts no changes (``RecoveryRun.takes``), its document is written once
    (``append_document``), and the copy is in storage that keeps it (``keep_copy``). Repeating this, after an
    interruption anywhere, changes nothing that was written.
    """
    run = await update_run(run_id, forced=True, phase=Phase.COMPLETED, ended_at=datetime.now(UTC), **last_facts)
    await _end_unfinished_steps(run)
    steps = [step for step in await read_steps(run_id) if step.name not in STEPS_AFTER_THE_END]
    document = await append_document(run, steps)
    await update_run(run_id, document=document.number, sha256=document.sha256)
    return await keep_copy(document)


async def _end_unfinished_steps(run: RecoveryRun) -> None:
    """No step outlives its run: a step that an abort interrupted must not appear as running."""
    for step in await read_steps(run.run_id):
        if step.status == "running" and step.name not in STEPS_AFTER_THE_END:
            message = step.error or "It was not finished when the run ended."
            await end_step(run.run_id, step.name, step.target, "failed", error=message, detail=step.detail)


async def end_orphan(run_id: str, because: str, outcome: Outcome = Outcome.FAILED) -> None:
    """Ends a run that will not do so itself; a run that was never stored has no row to end."""
    with contextlib.suppress(UnknownRunError):
        run = await read_run(run_id)
        if run.outcome is None:
            await end_run(run_id, outcome=outcome, ended_because=because, waiting_for=None)


async def steps_of(run: RecoveryRun) -> list[Step]:
    """The steps of a run. Those of an ended run come from its document: the engine may redeliver a step later."""
    rows = await read_steps(run.run_id)
    document = await read_document(run.plan, run.run_id) if run.outcome is not None else None
    if document is None:
        return rows
    try:
        _, kept = recorded(document.content)
    except ValueError:
        return rows
    later = [step for step in rows if step.name in STEPS_AFTER_THE_END]
    return sorted([*kept, *later], key=lambda step: (step.started_at, step.name, step.target))
