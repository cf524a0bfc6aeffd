"""Conversion of models to rows of Table Storage and back, also across versions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.base import Strict
from shared.store.tables import from_entity, from_row, to_entity, unknown_columns

LONGEST = 32 * 1024
"""Characters that a text property holds. Source: MicrosoftDocs/azure-docs, understanding the Table service data model.
"""
NOW = datetime(2027, 1, 15, 20, 0, tzinfo=UTC)


class Row(Strict):
    at: datetime
    text: str = ""
    facts: dict[str, Any] = {}
    names: list[str] = []


STRUCTURES = frozenset({"facts", "names"})


def stored(**fields: Any) -> dict[str, Any]:
    return to_entity("contoso", "row", fields)


def test_what_is_written_is_read_again() -> None:
    row = Row(at=NOW, text="größer", facts={"a": [1, None, {"b": True}]}, names=["x", "y"])
    assert from_row(Row, to_entity("contoso", "row", row.model_dump()), STRUCTURES) == row


def test_nothing_is_left_out_and_a_time_of_another_zone_is_read_as_utc() -> None:
    assert "text" not in stored(at=NOW, text=None)
    amsterdam = timezone(timedelta(hours=1))
    assert from_entity(stored(at=NOW.astimezone(amsterdam)), STRUCTURES)["at"].tzinfo is UTC


def test_a_column_of_a_newer_version_is_passed_over_on_reading() -> None:
    """A roll-back must be able to read newer rows."""
    entity = stored(at=NOW, text="x") | {"served_since": NOW, "colours": '["red"]'}
    assert from_row(Row, entity, STRUCTURES) == Row(at=NOW, text="x")


def test_a_column_of_a_newer_version_is_kept_by_whoever_writes_the_row_whole() -> None:
    entity = stored(at=NOW, text="x") | {"served_since": NOW, "colours": '["red"]'}
    kept = unknown_columns(entity, Row)
    assert kept == {"served_since": NOW, "colours": '["red"]'}
    assert kept | stored(at=NOW, text="y") == entity | {"text": "y"}


def test_a_text_that_fits_is_not_touched() -> None:
    assert stored(text="x" * 30_000)["text"] == "x" * 30_000


def test_a_text_longer_than_a_property_is_cut_and_says_so() -> None:
    text = stored(text="x" * 100_000)["text"]
    assert len(text) < LONGEST
    assert text.endswith("x ... [cut]")


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"errors": ["Azure refused. " * 300 for _ in range(25)]}, id="many long sentences"),
        pytest.param({"errors": {f"w{n}/os": "x" * 4096 for n in range(100)}}, id="a hundred disks"),
        pytest.param({"one": "x" * 1_000_000}, id="one text"),
        pytest.param({"deep": {"deeper": [{"said": "ü\n" * 50_000}]}}, id="deep within"),
        pytest.param({"many": list(range(100_000))}, id="a long list"),
    ],
)
def test_a_structure_that_is_too_long_stays_json_of_the_same_shape(facts: dict[str, Any]) -> None:
    text = stored(facts=facts)["facts"]
    assert len(text) < LONGEST
    shortened = json.loads(text)
    assert shortened.keys() == facts.keys()
    assert [type(value) for value in shortened.values()] == [type(value) for value in facts.values()]


def test_a_structure_that_fits_is_not_shortened() -> None:
    facts = {"errors": ["x" * 2500] * 5}
    assert json.loads(stored(facts=facts)["facts"]) == facts


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=20) | st.just("x" * 20_000),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5))
def test_any_structure_is_json_that_a_property_holds(facts: dict[str, Any]) -> None:
    text = stored(facts=facts)["facts"]
    assert len(text) < LONGEST
    assert json.loads(text).keys() == facts.keys()
