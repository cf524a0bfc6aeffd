"""The recorded state of the primary and the replica between runs, and since when it holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from shared.models.evidence import Round
from shared.models.looks import ReplicaLook, SiteLook
from shared.models.replica import ReplicaState
from shared.models.site_state import SiteState
from shared.services.news import bad_checks
from shared.store.site_state import looked, looked_at_replica, point_ended, routed
from tests.unit.rounds import BLIND, OUTAGE, UP, States, evidence

NOW = datetime(2027, 1, 15, 20, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
QUORUM = 2


def state(**changes: Any) -> SiteState:
    return SiteState.model_validate({"plan": "contoso", "created_at": NOW} | changes)


def after(before: SiteState, changes: dict[str, Any]) -> SiteState:
    return SiteState.model_validate(before.model_dump() | changes)


def seen(states: States, at: datetime = NOW) -> Round:
    return Round(at=at, evidence=evidence(states))


def look(before: SiteState, states: States, at: datetime) -> SiteState:
    return after(before, looked(before, seen(states, at), QUORUM))


def newest(of: SiteState) -> SiteLook:
    assert of.last_look is not None
    return of.last_look


# Checks of the primary


def test_the_first_look_is_remembered_with_what_it_says() -> None:
    first = newest(look(state(), OUTAGE, NOW))
    assert (first.at, first.says, first.since) == (NOW, "down", NOW)
    assert first.bad == ["public", "traffic", "vpn"]


def test_since_when_it_says_so_stays_while_it_says_the_same() -> None:
    later = look(look(state(), OUTAGE, NOW), OUTAGE, NOW + MINUTE)
    assert (newest(later).at, newest(later).since) == (NOW + MINUTE, NOW)


@pytest.mark.parametrize(("states", "says"), [(UP, "up"), (BLIND, "blind"), ({"public": "down"}, "unclear")])
def test_since_when_it_says_so_is_reset_when_it_says_something_else(states: States, says: str) -> None:
    later = newest(look(look(state(), OUTAGE, NOW), states, NOW + 5 * SECOND))
    assert (later.says, later.since) == (says, NOW + 5 * SECOND)


def test_the_same_news_is_written_down_once_a_minute_at_most() -> None:
    first = look(state(), OUTAGE, NOW)
    assert looked(first, seen(OUTAGE, NOW + 59 * SECOND), QUORUM) == {}
    assert looked(first, seen(OUTAGE, NOW + MINUTE), QUORUM) != {}


def test_another_check_that_turned_bad_is_written_down_at_once() -> None:
    first = look(state(), OUTAGE, NOW)
    later = look(first, OUTAGE | {"heartbeat": "down"}, NOW + 10 * SECOND)
    assert newest(later).bad == ["heartbeat", "public", "traffic", "vpn"]
    assert newest(later).since == NOW


@pytest.mark.parametrize("earlier", [timedelta(0), MINUTE])
def test_an_older_look_never_takes_the_place_of_a_newer_one(earlier: timedelta) -> None:
    """Two runs' checks, or a redelivered one, may be recorded in the wrong order."""
    assert looked(look(state(), OUTAGE, NOW), seen(UP, NOW - earlier), QUORUM) == {}


def test_only_the_primarys_own_checks_are_bad_and_each_with_its_last_sign_of_life() -> None:
    troubles: States = OUTAGE | {"observer": "down", "azure": "down", "heartbeat": "down"}
    bad = bad_checks(Round(at=NOW, evidence=evidence(troubles, age=90)))
    assert bad == dict.fromkeys(("public", "traffic", "vpn", "heartbeat"), NOW - timedelta(seconds=90))


# Checks of the replica


def replica_state(
    word: Literal["good", "mirroring", "stopped", "unknown"] = "good",
    *,
    connected: bool | None = True,
    queued: int | None = 0,
    until: datetime | None = None,
) -> ReplicaState:
    return ReplicaState(state=word, frozen=False, connected=connected, queue_bytes=queued, replicated_until=until)


def looked_again(before: SiteState, at: datetime, what: ReplicaState | None, problem: str | None = None) -> SiteState:
    return after(before, looked_at_replica(before, at, what, problem, {}))


def replica(of: SiteState) -> ReplicaLook:
    assert of.replica is not None
    return of.replica


def test_without_any_look_the_age_of_the_data_is_not_known() -> None:
    assert state().data_until is None


def test_a_replica_in_order_holds_everything_until_the_look() -> None:
    assert looked_again(state(), NOW, replica_state()).data_until == NOW


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(replica_state("mirroring"), id="mirroring"),
        pytest.param(replica_state("stopped"), id="stopped"),
        pytest.param(replica_state("unknown"), id="unknown"),
        pytest.param(replica_state(connected=False), id="the source is gone"),
        pytest.param(replica_state(connected=None), id="a script that says nothing of the source"),
        pytest.param(replica_state(queued=1), id="something is queued"),
        pytest.param(replica_state(queued=None), id="a queue that is not known"),
    ],
)
def test_a_replica_that_is_not_in_order_says_nothing_of_its_age(what: ReplicaState) -> None:
    assert looked_again(state(), NOW, what).data_until is None


def test_the_scripts_own_word_on_the_age_counts_also_when_the_source_is_gone() -> None:
    until = NOW - timedelta(hours=3)
    assert looked_again(state(), NOW, replica_state(connected=False, until=until)).data_until == until


def test_what_is_known_of_the_age_only_grows() -> None:
    """Replication stops at eight; later reports do not change what the replica held then."""
    good = looked_again(state(), NOW, replica_state(until=NOW - MINUTE))
    later = looked_again(good, NOW + timedelta(hours=3), replica_state("stopped", until=NOW - timedelta(hours=2)))
    silent = looked_again(
        later, NOW + timedelta(hours=4), None, "The status script could not be started on the replication machine."
    )
    assert (good.data_until, later.data_until, silent.data_until) == (NOW, NOW, NOW)
    assert replica(silent).replicated_until == NOW - MINUTE


def test_the_first_of_the_bad_looks_is_remembered_until_a_good_one() -> None:
    first = looked_again(state(), NOW, replica_state("stopped"))
    second = looked_again(first, NOW + MINUTE, None, "no answer")
    well = looked_again(second, NOW + 2 * MINUTE, replica_state())
    assert [replica(state).bad_since for state in (first, second, well)] == [NOW, NOW, None]
    assert [replica(state).problem for state in (first, second, well)] == ["it has stopped", "no answer", None]


def test_an_older_look_at_the_replica_changes_nothing() -> None:
    newer = looked_again(state(), NOW, replica_state("stopped"))
    assert looked_at_replica(newer, NOW - SECOND, replica_state(), None, {"orders": NOW}) == {}


def test_the_newest_commit_of_each_database_at_home_only_grows() -> None:
    def noted(before: SiteState, minute: int, **commits: datetime) -> SiteState:
        return after(before, looked_at_replica(before, NOW + minute * MINUTE, replica_state(), None, commits))

    first = noted(state(), 0, orders=NOW, stock=NOW - MINUTE)
    later = noted(first, 1, orders=NOW - MINUTE, stock=NOW)
    silent = noted(later, 2)
    assert later.home_commits == silent.home_commits == {"orders": NOW, "stock": NOW}


def test_a_script_that_answers_local_time_makes_no_data_newer_and_is_in_trouble() -> None:
    """In winter Amsterdam is an hour ahead of UTC, which would hide an hour of lost data."""
    later = looked_again(state(), NOW, replica_state(queued=1, until=NOW + timedelta(hours=1)))
    assert later.data_until is None
    assert replica(later).problem == "its script reports a replicated_until in the future; it must be UTC"


def test_clocks_may_differ_a_little() -> None:
    later = looked_again(state(), NOW, replica_state(queued=1, until=NOW + MINUTE))
    assert (later.data_until, replica(later).problem) == (NOW + MINUTE, None)


# The timer's recovery points


def test_a_recovery_point_that_failed_is_remembered_until_one_is_taken() -> None:
    begun = state(last_set_at=NOW, last_point_at=NOW - timedelta(hours=1))
    failed = after(begun, point_ended(begun, NOW + MINUTE, "A snapshot was refused."))
    assert (failed.point_trouble, failed.last_point_at) == ("A snapshot was refused.", NOW - timedelta(hours=1))
    taken = after(failed, point_ended(failed, NOW + timedelta(hours=1), None))
    assert (taken.point_trouble, taken.last_point_at) == (None, NOW + timedelta(hours=1))


def test_a_recovery_point_that_made_way_for_a_run_is_no_trouble_and_is_due_again() -> None:
    begun = state(last_set_at=NOW, last_point_at=NOW - timedelta(hours=1), active_run="contoso-f1", epoch=1)
    ended = after(begun, point_ended(begun, NOW + MINUTE, "Another run holds the plan."))
    assert (ended.point_trouble, ended.last_set_at) == (None, NOW - timedelta(hours=1))


# The routing


def test_since_when_the_primary_is_locked_out_stays_at_every_reading() -> None:
    """Otherwise later writes to the old primary would not be seen as written after the cutover."""
    moved = after(state(), routed("recovery", state(latched_at=NOW)))
    assert (moved.active_site, moved.latched, moved.latched_at) == ("recovery", True, NOW)
    back = after(moved, routed("primary", moved))
    assert (back.latched, back.latched_at) == (False, None)
