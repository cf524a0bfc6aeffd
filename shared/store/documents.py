"""The documents of ended runs: each holds a whole run, and names the SHA-256 of the one before it in its plan's chain.

A document is canonical JSON (ASCII, sorted keys, no spaces), so that every reader of the table can verify it. It is
written once, in one transaction with the head of the chain.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.data.tables.aio import TableClient

from shared.models.base import Strict
from shared.models.errors import StateConflictError
from shared.models.runs import AFTER_THE_END, RecoveryRun
from shared.models.steps import Step
from shared.store.tables import DOCUMENTS, shortened, storage, table

_HEAD = "head"
_PART = 60_000
"""Bytes. A binary property holds 64 KiB and an entity 1 MiB.
Source: MicrosoftDocs/azure-docs, understanding the Table service data model."""
_LARGEST = 15 * _PART
_ATTEMPTS = 20


class Document(Strict):
    """An ended run as it is kept. ``sha256`` is what was written down, which may differ from that of ``content``."""

    plan: str
    run_id: str
    number: int
    sha256: str
    content: bytes

    @property
    def name(self) -> str:
        """The name of its copy outside the tables."""
        return f"{self.plan}/{self.number:08d}-{self.run_id}.json"


class Head(Strict):
    """The newest document of a plan; number 0 while there is none."""

    number: int = 0
    sha256: str | None = None


def write_document(run: RecoveryRun, steps: list[Step], number: int, previous: str | None) -> bytes:
    """A run as canonical JSON. Very long texts and lists of steps are shortened until it fits into a row."""
    facts = run.model_dump(mode="json", exclude=set(AFTER_THE_END))
    rows, limit = [step.model_dump(mode="json") for step in steps], 2000
    while len(text := _canonical({"number": number, "previous": previous, "run": facts, "steps": rows})) > _LARGEST:
        rows, limit = [shortened(row, limit) for row in rows], limit // 2
    return text.encode("ascii")


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def append_document(run: RecoveryRun, steps: list[Step]) -> Document:
    """Writes the document of a run at the end of its plan's chain; a run that has one keeps it.

    Two runs of a plan that end together are written one after the other. Raises ``StateConflictError`` when concurrent
    writes persist.
    """
    for _ in range(_ATTEMPTS):
        async with storage():
            rows = await table(DOCUMENTS)
            if kept := await _read(rows, run.plan, run.run_id):
                return kept
            head, etag = await _read_head(rows, run.plan)
            number = head.number + 1
            content = write_document(run, steps, number, head.sha256)
            document = Document(
                plan=run.plan, run_id=run.run_id, number=number, sha256=sha256(content), content=content
            )
            new_head = {"PartitionKey": run.plan, "RowKey": _HEAD, "number": number, "sha256": document.sha256}
            move_head: Any = ("create", new_head)
            if etag:
                unchanged = {"mode": "replace", "etag": etag, "match_condition": MatchConditions.IfNotModified}
                move_head = ("update", new_head, unchanged)
            try:
                await rows.submit_transaction([("create", _to_row(document)), move_head])
            except HttpResponseError as error:
                if error.status_code not in (409, 412):  # Another run ended meanwhile.
                    raise
                continue
            return document
    raise StateConflictError(f"The documents of {run.plan} keep changing.")


async def read_document(plan: str, run_id: str) -> Document | None:
    """The document of a run; None while it has none."""
    async with storage():
        return await _read(await table(DOCUMENTS), plan, run_id)


async def read_chain(plan: str) -> tuple[list[Document], Head]:
    """All documents of a plan by number, and the recorded head of their chain."""
    async with storage():
        rows = await table(DOCUMENTS)
        stored = rows.query_entities("PartitionKey eq @plan", parameters={"plan": plan}, results_per_page=20)
        found = [_from_row(dict(row)) async for row in stored if row["RowKey"] != _HEAD]
        head, _ = await _read_head(rows, plan)
    return sorted(found, key=lambda document: document.number), head


def recorded(content: bytes) -> tuple[dict[str, Any], list[Step]]:
    """The run's facts and its steps, as in a document. Raises ``ValueError`` when it cannot be read."""
    try:
        found = json.loads(content)
        return dict(found["run"]), [Step.model_validate(step) for step in found["steps"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"The document has no {error}.") from error


async def _read(rows: TableClient, plan: str, run_id: str) -> Document | None:
    try:
        return _from_row(dict(await rows.get_entity(plan, run_id)))
    except ResourceNotFoundError:
        return None


async def _read_head(rows: TableClient, plan: str) -> tuple[Head, str | None]:
    try:
        row = await rows.get_entity(plan, _HEAD)
    except ResourceNotFoundError:
        return Head(), None
    return Head(number=int(row["number"]), sha256=str(row["sha256"])), str(row.metadata["etag"])


def _to_row(document: Document) -> dict[str, Any]:
    parts = [document.content[at : at + _PART] for at in range(0, len(document.content), _PART)]
    return {
        "PartitionKey": document.plan,
        "RowKey": document.run_id,
        "number": document.number,
        "sha256": document.sha256,
        **{f"part{index:02d}": part for index, part in enumerate(parts)},
    }


def _from_row(row: dict[str, Any]) -> Document:
    parts = [bytes(row[name]) for name in sorted(row) if name.startswith("part")]
    return Document(
        plan=str(row["PartitionKey"]),
        run_id=str(row["RowKey"]),
        number=int(row["number"]),
        sha256=str(row["sha256"]),
        content=b"".join(parts),
    )
