"""Verifies the history of a plan: no document was changed, left out or added, and the runs' rows agree with them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import AzureError

from shared import settings
from shared.models.base import Strict
from shared.models.runs import AFTER_THE_END, RecoveryRun
from shared.store.document_archive import compare_copy
from shared.store.documents import Document, Head, read_chain, recorded, sha256
from shared.store.runs import list_runs

_ALL = 1_000_000
_AT_ONCE = 10
_END_TAKES = timedelta(hours=1)
"""An end that was cut off is completed by housekeeping within minutes, while the history's storage is available."""


class HistoryCheck(Strict):
    """``problems`` are sentences, the first one about the oldest document that does not fit. ``copies`` says how many
    documents were compared with their copy; None without a container.
    """

    plan: str
    documents: int
    copies: int | None
    problems: list[str]

    def sentence(self) -> str:
        return " ".join(self.problems) or f"intact: {self.documents} documents, each chained to the one before"


async def verify_history(plan: str) -> HistoryCheck:
    """Recomputes the whole chain of a plan. Reads every document; changes nothing."""
    (chain, head), runs = await asyncio.gather(read_chain(plan), list_runs(plan, limit=_ALL))
    problems = [*chain_problems(chain, head), *row_problems(chain, runs, datetime.now(UTC))]
    if settings.documents_endpoint() is None:
        return HistoryCheck(plan=plan, documents=len(chain), copies=None, problems=problems)
    compared, copy_problems = await _compare_copies(chain)
    return HistoryCheck(plan=plan, documents=len(chain), copies=compared, problems=[*problems, *copy_problems])


def chain_problems(chain: list[Document], head: Head) -> list[str]:
    """What is wrong with the documents themselves, the oldest first."""
    problems: list[str] = []
    previous: str | None = None
    for expected, document in enumerate(chain, start=1):
        if problem := _link_problem(document, expected, previous):
            problems.append(f"Document {document.number} (run {document.run_id}) {problem}.")
            break
        previous = document.sha256
    if not problems and (head.number, head.sha256) != (len(chain), previous):
        problems.append(f"The chain should end with document {head.number}, and ends with document {len(chain)}.")
    return problems


def _link_problem(document: Document, expected: int, previous: str | None) -> str | None:
    if document.number != expected:
        return f"is where document {expected} should be: documents are missing or were added"
    if sha256(document.content) != document.sha256:
        return "was changed: its SHA-256 is not the recorded one"
    found: dict[str, Any] = json.loads(document.content)
    if (found["number"], found["run"]["run_id"]) != (document.number, document.run_id):
        return f"belongs to run {found['run']['run_id']} with number {found['number']}"
    if found["previous"] != previous:
        return "does not continue the document before it: one of the two was replaced"
    return None


def row_problems(chain: list[Document], runs: list[RecoveryRun], now: datetime) -> list[str]:
    """Where the runs' rows, which the lists show, contradict the documents. A run that has just ended may have no
    document yet.
    """
    documents = {document.run_id: document for document in chain}
    problems: list[str] = []
    for run in reversed(runs):
        document = documents.pop(run.run_id, None)
        if document is None:
            if run.document is not None or (run.ended_at and now - run.ended_at > _END_TAKES):
                problems.append(f"The document of run {run.run_id} is missing.")
            continue
        if run.document is not None and (run.document, run.sha256) != (document.number, document.sha256):
            problems.append(f"The row of run {run.run_id} names another document than number {document.number}.")
        if differing := _differing(run, document):
            problems.append(f"The row of run {run.run_id} differs from its document in {', '.join(differing)}.")
    return [*problems, *(f"The row of run {run_id} is missing; its document remains." for run_id in documents)]


def _differing(run: RecoveryRun, document: Document) -> list[str]:
    """The fields of a row that are not what the document says; fields that only another version knows do not count."""
    try:
        facts, _ = recorded(document.content)
    except ValueError:
        return []  # The chain's problem names this document.
    row = run.model_dump(mode="json", exclude=set(AFTER_THE_END))
    return [name for name, value in row.items() if name in facts and facts[name] != value]


async def _compare_copies(chain: list[Document]) -> tuple[int, list[str]]:
    """Compares the documents with their copies outside the tables."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def compare(document: Document) -> str:
        async with slots:
            return await compare_copy(document)

    try:
        found = await asyncio.gather(*(compare(document) for document in chain))
    except AzureError as error:
        return 0, [f"The copies could not be read: {type(error).__name__}. Try again."]
    words = {"different": "differs from its copy, which is the original", "missing": "has no copy"}
    problems = [
        f"Document {document.number} (run {document.run_id}) {words[state]}."
        for document, state in zip(chain, found, strict=True)
        if state != "same"
    ]
    return sum(state != "missing" for state in found), problems
