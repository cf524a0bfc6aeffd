"""When a drill is due: valid schedules, and their times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.cron import due_before, schedule_problem

AMSTERDAM = "Europe/Amsterdam"
SIX_FIELDS = "is not a schedule of six fields"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def fired(
    schedule: str, zone: str, begin: datetime, end: datetime, every: timedelta = timedelta(minutes=5)
) -> list[datetime]:
    """The times at which drills start, as the timer finds them: ``every`` five minutes, once for each new time."""
    last, found, now = begin, list[datetime](), begin
    while now < end:
        due = due_before(schedule, zone, now)
        if due > last:
            found.append(due)
            last = now
        now += every
    return found


# Valid schedules


@pytest.mark.parametrize(
    "schedule",
    [
        "0 0 3 1 1,4,7,10 *",
        "0 0 3 1-7 * SUN",
        "0 */15 * * * *",
        "30 0 0 * JAN-MAR mon",
        "0 0 3 29 2 *",
        "0 0 3 31 * *",
        "0  0 3 * *  5",
    ],
)
def test_a_schedule_of_six_fields_is_one(schedule: str) -> None:
    assert schedule_problem(schedule) is None


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "0 3 1 1 *",
        "0 0 3 1 1 * *",
        "0 0 25 1 1 *",
        "0 60 3 * * *",
        "0 0 3 32 * *",
        "0 0 3 1 13 *",
        "R R R * * *",
        "0 0 3 L * *",
        "0 0 3 ? * MON#1",
        "@monthly",
        "%DRILLS%",
        "00:30:00",
        "0 0 3 * JANUARY *",
        "0 0 3 1- * *",
        "0 0 3 */0 * *",
    ],
)
def test_what_is_no_schedule_of_six_fields_is_refused_with_an_example(schedule: str) -> None:
    sentence = schedule_problem(schedule)
    assert sentence is not None
    assert sentence.startswith(f"{SIX_FIELDS}, for example 0 0 3 1 1,4,7,10 *")


@pytest.mark.parametrize(
    ("schedule", "span"),
    [
        ("0 0 3 * * FRI-MON", "FRI-MON"),
        ("0 0 22-2 * * *", "22-2"),
        ("0 0 3 * nov-feb *", "NOV-FEB"),
        ("0 0 3 * * 5-MON", "5-MON"),
    ],
)
def test_a_range_that_runs_backwards_is_refused(schedule: str, span: str) -> None:
    """cron would wrap it around; what Azure's reader does with it is not documented."""
    assert (schedule_problem(schedule) or "").startswith(f"contains {span}, a range that ends before it begins")


@pytest.mark.parametrize("schedule", ["0 0 3 30 2 *", "0 0 3 31 2,4,6,9,11 *", "0 0 0 30 FEB SUN"])
def test_a_date_that_never_comes_is_refused(schedule: str) -> None:
    assert schedule_problem(schedule) == "is a date that never occurs"


@given(
    st.text("0123456789*,/- ABJLMRSUNabc", max_size=24) | st.lists(st.text("0123456789*,/-", min_size=1), max_size=7)
)
def test_whatever_is_written_is_a_schedule_or_told_why_not_and_a_schedule_has_moments(written: str | list[str]) -> None:
    schedule = written if isinstance(written, str) else " ".join(written)
    if schedule_problem(schedule) is None:
        assert due_before(schedule, "UTC", utc(2027, 6, 15, 12, 0, 1)) <= utc(2027, 6, 15, 12, 0, 1)


# Their times


def test_where_day_and_weekday_are_both_named_both_must_fit() -> None:
    """``1-7 * SUN`` is the first Sunday of a month: three drills a quarter, and not thirty-one."""
    found = fired("0 0 3 1-7 * SUN", "UTC", utc(2027, 1, 1), utc(2027, 4, 1), timedelta(hours=1))
    assert found == [utc(2027, 1, 3, 3), utc(2027, 2, 7, 3), utc(2027, 3, 7, 3)]


@pytest.mark.parametrize(
    ("schedule", "days"),
    [("0 0 3 1-7 * *", [1, 2, 3, 4, 5, 6, 7]), ("0 0 3 * * SUN", [3, 10, 17, 24, 31])],
    ids=["day alone", "weekday alone"],
)
def test_a_day_or_a_weekday_alone_means_itself(schedule: str, days: list[int]) -> None:
    assert [due.day for due in fired(schedule, "UTC", utc(2027, 1, 1), utc(2027, 2, 1), timedelta(hours=1))] == days


def test_a_schedule_is_read_in_the_plans_time_zone() -> None:
    assert due_before("0 0 3 * * *", AMSTERDAM, utc(2027, 7, 1, 12)) == utc(2027, 7, 1, 1)
    assert due_before("0 0 3 * * *", AMSTERDAM, utc(2027, 1, 15, 12)) == utc(2027, 1, 15, 2)


def test_an_hour_that_clocks_repeat_fires_once() -> None:
    """In Amsterdam half past two comes twice on 31 October 2027; the first one counts."""
    found = fired("0 30 2 * * *", AMSTERDAM, utc(2027, 10, 30, 12), utc(2027, 11, 1, 12))
    assert found == [utc(2027, 10, 31, 0, 30), utc(2027, 11, 1, 1, 30)]


def test_an_hour_that_clocks_skip_fires_once() -> None:
    """In Amsterdam there is no half past two on 28 March 2027."""
    found = fired("0 30 2 * * *", AMSTERDAM, utc(2027, 3, 27, 12), utc(2027, 3, 29, 12))
    assert len(found) == 2
    assert utc(2027, 3, 28) < found[0] <= utc(2027, 3, 28, 1, 30)
    assert found[1] == utc(2027, 3, 29, 0, 30)


@pytest.mark.parametrize("month", [3, 10])
def test_no_day_is_lost_or_doubled_around_a_change_of_clocks(month: int) -> None:
    found = fired("0 0 3 * * *", AMSTERDAM, utc(2027, month, 20, 12), utc(2027, month, 31, 23))
    assert len(found) == 11
