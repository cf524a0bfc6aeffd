"""Which recovery point is used: a fresh set, one on record, or none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.policy.recovery_points import Candidate, choose

NOW = datetime(2027, 1, 15, 20, 0, tzinfo=UTC)


def point(set_id: str, age: timedelta) -> Candidate:
    return Candidate(set_id=set_id, taken_at=NOW - age, consistency="application")


POINTS = [point("set-c", timedelta(minutes=40)), point("set-b", timedelta(hours=2)), point("set-a", timedelta(hours=3))]


@pytest.mark.parametrize(
    ("wanted", "replica_usable", "take_new", "set_id"),
    [
        ("latest", True, True, None),
        ("latest", False, False, "set-c"),
        ("latest_good", True, False, "set-c"),
        ("latest_good", False, False, "set-c"),
        ("set-a", True, False, "set-a"),
        ("set-b", False, False, "set-b"),
        ("set-x", True, False, None),
        ("before:2027-01-15T19:00:00+00:00", True, False, "set-b"),
        ("before:2027-01-15T20:00:00+01:00", True, False, "set-b"),
        ("before:2027-01-15T19:00:00Z", False, False, "set-b"),
        ("before:2027-01-15T18:00:00Z", True, False, "set-a"),
        ("before:2027-01-15T17:00:00Z", True, False, None),
    ],
)
def test_meets_the_wish_or_chooses_nothing(
    wanted: str, replica_usable: bool, take_new: bool, set_id: str | None
) -> None:
    choice = choose(wanted, replica_usable, "good, 0 bytes queued", POINTS, NOW)
    assert (choice.take_new, choice.set_id) == (take_new, set_id)


def test_a_time_without_a_zone_is_utc_as_the_operators_door_reads_it() -> None:
    assert choose("before:2027-01-15T19:00:00", True, "good", POINTS, NOW).set_id == "set-b"


@pytest.mark.parametrize("state", ["mirroring", "stopped, 512 bytes queued"])
def test_says_why_the_replica_is_not_used_and_how_old_its_stand_in_is(state: str) -> None:
    choice = choose("latest", False, state, POINTS, NOW)
    assert choice.because == f"The replica is not usable ({state}). Recovery point set-c, 40 min old, is used."


def test_says_what_the_replica_says_when_a_fresh_point_is_taken() -> None:
    assert "good, 12 bytes queued" in choose("latest", True, "good, 12 bytes queued", [], NOW).because


@pytest.mark.parametrize("wanted", ["latest", "latest_good", "set-c", "before:2027-01-15T19:00:00Z"])
def test_without_points_on_record_nothing_is_chosen_and_the_wish_is_named(wanted: str) -> None:
    choice = choose(wanted, False, "mirroring", [], NOW)
    assert (choice.take_new, choice.set_id) == (False, None)
    assert choice.because.endswith(f"No recovery point matches '{wanted}'.")
