"""Durations as they are written, stored and shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.durations import format_duration, parse_duration, spoken


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("2d", 172800),
        ("1m500ms", 60.5),
        ("0s", 0),
    ],
)
def test_reads_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        90,
        90.0,
        True,
        None,
        "",
        "90",
        "s",
        "90 s",
        "1h 30m",
        "-90s",
        "1e3s",
        "90S",
        "90s\n",
        "1h30",
        "1w",
        "infs",
        ["90s"],
    ],
)
def test_refuses_what_has_no_clear_unit_and_says_how_to_write_it(value: Any) -> None:
    with pytest.raises(ValueError, match=r"needs a number with a unit: ms, s, m, h or d, for example 90s or 1h30m"):
        parse_duration(value)


@pytest.mark.parametrize("text", ["99999999999d", "9" * 400 + "s"])
def test_refuses_a_duration_beyond_what_can_be_counted(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


def test_refuses_digits_that_the_published_schema_does_not_know() -> None:
    with pytest.raises(ValueError):
        parse_duration("٣s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.5, "0.5s"), (60, "1m"), (90, "90s"), (5400, "90m"), (7200, "2h"), (86400, "1d"), (129600, "36h")],
)
def test_writes_the_shortest_exact_spelling(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36500)))
def test_every_duration_that_is_written_reads_back_the_same(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (7.6, "8 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (92, "1 min 32 s"),
        (120, "2 min"),
        (599, "9 min 59 s"),
        (600, "10 min"),
        (870, "14 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_says_a_duration_in_words_for_a_sentence(seconds: float, words: str) -> None:
    assert spoken(seconds) == words
