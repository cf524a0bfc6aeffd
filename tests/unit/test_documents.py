"""The chain of documents: one changed byte anywhere is found, and so is a document that was left out or added."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from shared.models.runs import CutoverState, Outcome, Phase, RecoveryRun
from shared.models.steps import Step
from shared.services.verify_history import chain_problems, row_problems
from shared.store.documents import Document, Head, recorded, sha256, write_document

AT = datetime(2027, 1, 15, 20, tzinfo=UTC)
NOW = AT + timedelta(hours=1)


def run(number: int) -> RecoveryRun:
    return RecoveryRun(
        run_id=f"contoso-f2027011520{number:02d}00000-abcd",
        plan="contoso",
        plan_hash="1a2b3c",
        kind="failover",
        mode="automatic",
        trigger="alert",
        reason=f"reason {number}",
        phase=Phase.COMPLETED,
        outcome=Outcome.SUCCEEDED,
        cutover=CutoverState.MOVED,
        started_at=AT + timedelta(minutes=number),
    )


def step(name: str, **detail: object) -> Step:
    return Step(name=name, target="sql", status="succeeded", attempts=1, started_at=AT, detail=dict(detail))


def chain(length: int = 3) -> tuple[list[Document], list[RecoveryRun]]:
    """Documents as they are written, and the rows that name them."""
    documents: list[Document] = []
    rows: list[RecoveryRun] = []
    for number in range(1, length + 1):
        before = documents[-1].sha256 if documents else None
        content = write_document(run(number), [step("create_disk"), step("create_machine")], number, before)
        documents.append(
            Document(plan="contoso", run_id=run(number).run_id, number=number, sha256=sha256(content), content=content)
        )
        rows.append(run(number).model_copy(update={"document": number, "sha256": sha256(content)}))
    return documents, rows


def head_of(documents: list[Document]) -> Head:
    return Head(number=documents[-1].number, sha256=documents[-1].sha256)


def test_an_unchanged_history_has_no_problem() -> None:
    documents, rows = chain()
    assert chain_problems(documents, head_of(documents)) == []
    assert row_problems(documents, rows, NOW) == []
    assert chain_problems([], Head()) == []


@pytest.mark.parametrize("which", range(3))
def test_one_changed_byte_anywhere_is_found_and_its_document_named(which: int) -> None:
    documents, _ = chain()
    content, head = documents[which].content, head_of(documents)
    assert len(content) > 500
    for at in range(len(content)):
        forged = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        changed = [*documents]
        changed[which] = documents[which].model_copy(update={"content": forged})
        (problem,) = chain_problems(changed, head)
        assert problem.startswith(f"Document {which + 1} ("), problem


def test_a_document_that_was_rewritten_with_its_hash_breaks_the_chain_at_the_next() -> None:
    documents, rows = chain()
    forged = documents[0].content.replace(b"reason 1", b"reason 9")
    changed = [documents[0].model_copy(update={"content": forged, "sha256": sha256(forged)}), *documents[1:]]
    (problem,) = chain_problems(changed, head_of(documents))
    assert problem.startswith("Document 2 (")
    assert "does not continue" in problem
    assert len(row_problems(changed, rows, NOW)) == 2


def test_a_document_that_was_left_out_is_found() -> None:
    documents, rows = chain()
    for which in range(3):
        rest = [document for document in documents if document.number != which + 1]
        assert chain_problems(rest, head_of(documents)), which
        assert row_problems(rest, rows, NOW) == [f"The document of run {rows[which].run_id} is missing."]


def test_a_run_whose_row_was_deleted_is_found() -> None:
    documents, rows = chain()
    assert row_problems(documents, rows[1:], NOW) == [
        f"The row of run {rows[0].run_id} is missing; its document remains."
    ]


def test_a_run_that_has_just_ended_may_have_no_document_yet_but_not_for_long() -> None:
    documents, rows = chain()
    ended = run(4).model_copy(update={"ended_at": NOW})
    assert row_problems(documents, [*rows, ended], NOW + timedelta(minutes=5)) == []
    late = row_problems(documents, [*rows, ended], NOW + timedelta(hours=2))
    assert late == [f"The document of run {ended.run_id} is missing."]


def test_what_is_known_after_the_end_is_not_in_the_document() -> None:
    documents, _ = chain(1)
    facts, _ = recorded(documents[0].content)
    assert not {"document", "sha256", "hindsight"} & set(facts)
    assert documents[0].content == json.dumps(
        json.loads(documents[0].content), sort_keys=True, separators=(",", ":")
    ).encode("ascii")


def test_the_steps_of_a_huge_run_are_shortened_until_they_fit_into_a_row() -> None:
    steps = [step(f"step{index}", text="x" * 29_000) for index in range(100)]
    content = write_document(run(1), steps, 1, None)
    assert 100_000 < len(content) <= 900_000
    assert len(recorded(content)[1]) == 100


@pytest.mark.parametrize("content", [b"{}", b"[]", b"not json", b'{"run": {}, "steps": 3}'])
def test_a_document_that_cannot_be_read_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        recorded(content)
