"""How every run begins and ends: claim, do the work, clean up where required, write the document, notify, release."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from durabletask import task

from functions.activities.base import Activity
from functions.activities.run_record import Claim, ClaimOrder, ReleaseOrder, SealOrder, claim_run, release_run, seal_run
from functions.workflow.context import Doing, RunContext, plain
from functions.workflow.endings import EndRun, NeedsOperator, named, reason
from shared.models.plan import RecoveryPlan
from shared.models.runs import Outcome, Phase, RunInput
from shared.models.steps import Order
from shared.models.words import OUTCOMES

_NOT_A_VERB = {Outcome.STOOD_DOWN, Outcome.OBSERVED, Outcome.EXPIRED}
"""Outcomes whose words do not follow "failover" as a verb does."""


def run_lifecycle(
    work: RunContext,
    run: RunInput,
    body: Callable[[Claim], Doing[EndRun]],
    clear: Callable[[EndRun], Doing[list[str]]],
) -> Doing[dict[str, Any]]:
    """Runs ``body`` between claim and release.

    ``clear`` deletes what was built when the run is aborted or fails, and returns what is left. After either, the next
    check waits for the cooldown. An unexpected error ends the run in the same way, rather than leaving the plan locked.
    """
    plan, work.kind = run.plan, run.kind
    work.takes_aborts = False
    claim = yield from work.do(claim_run, ClaimOrder(run=run.run, trust=plan.detection.trust))
    work.takes_aborts = True
    if not claim.claimed:
        return {"run_id": run.run.run_id, "ignored": claim.because}
    work.tell(plan.notify, "started", f"{plan.title}: {_begins(run)}", f"Why: {run.reason}.")
    try:
        ending = yield from body(claim)
    except EndRun as early:
        ending = early
    except Exception as error:  # noqa: BLE001 (a run must never leave its plan locked and its machines unattended)
        if work.cutover.is_committed:
            ending = EndRun(Outcome.SUCCEEDED, f"Cutover complete, but the run's record is incomplete: {reason(error)}")
        else:
            ending = EndRun(Outcome.FAILED, reason(error), by="its own failure", clean_up=True)
    if ending.clean_up:
        ending = yield from _cleaned_up(work, run, clear, ending)
    return (yield from _end(work, plan, run.kind, ending))


def _begins(run: RunInput) -> str:
    """The start in a title: a check of the primary is no failover yet, and a drill is named as one."""
    if run.replacement:
        return f"building {', '.join(run.replacement.workloads)} again in Azure"
    if run.kind != "failover":
        return f"{run.kind} started"
    return "failover started" if run.trigger == "operator" else "checking the primary site"


def _cleaned_up(
    work: RunContext, run: RunInput, clear: Callable[[EndRun], Doing[list[str]]], ending: EndRun
) -> Doing[EndRun]:
    """Deletes what was built, and says what is left."""
    work.takes_aborts = False
    yield from work.record_now(phase=Phase.CLEANING_UP, waiting_for=None, answers=[], waiting_until=None)
    try:
        left = yield from clear(ending)
    except (NeedsOperator, task.TaskFailedError) as error:
        left = [reason(error)]
    because = ending.because
    if unsaid := [item for item in left if item not in because]:
        because = f"{because} Cleanup is incomplete: {', '.join(named(unsaid))}."
    cooldown = run.plan.detection.cooldown if run.kind == "failover" and not run.replacement else None
    if cooldown:
        because = f"{because} {next_look(work, cooldown)}"
    return EndRun(ending.outcome, because, cooldown=cooldown)


def next_look(work: RunContext, cooldown: timedelta) -> str:
    """When Coldsite checks the primary again by itself, as a sentence."""
    return f"Next check at {work.now + cooldown:%H:%M} UTC, or as soon as another signal fails."


def _end(work: RunContext, plan: RecoveryPlan, kind: str, ending: EndRun) -> Doing[dict[str, Any]]:
    work.takes_aborts = False
    yield from work.settle()
    because = ending.because
    if work.unwritten:
        because = f"{because} The history of this run is incomplete: its storage was unavailable."
    facts = {
        "outcome": ending.outcome.value,
        "waiting_for": None,
        "answers": [],
        "waiting_until": None,
        "ended_because": because,
        **ending.facts,
    }
    yield from insist_on(work, seal_run, SealOrder(run=work.run, facts=plain(facts)))
    ended = "ended: " if ending.outcome in _NOT_A_VERB else ""
    title = f"{plan.title}: {kind} {ended}{OUTCOMES[ending.outcome]}"
    work.tell(plan.notify, "finished", title, because)
    release = ReleaseOrder(run=work.run, cooldown=ending.cooldown, well_at=ending.well_at)
    yield from insist_on(work, release_run, release)
    yield from work.settle()
    yield from work.settle_messages()
    return {"run_id": work.run.run_id, "outcome": ending.outcome.value}


def insist_on[O: Order, R](work: RunContext, activity: Activity[O, R], order: O) -> Doing[R]:
    """An activity that must succeed: while the history's storage is unavailable, this waits."""
    began = work.now
    while True:
        try:
            return (yield from work.do(activity, order))
        except task.TaskFailedError:
            yield from work.sleep(work.pause_since(began))


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from ``start`` to ``end``, never negative."""
    if start is None or end is None:
        return None
    return max(0.0, (end - start).total_seconds())
