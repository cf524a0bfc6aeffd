"""What a failback concludes from a look at both sites."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.models.failback import Failback
from shared.models.home import DatabaseView, HomeLook
from shared.policy.failback import (
    behind,
    last_commits,
    missing_at_home,
    sign_off,
    still_takes_writes,
    why_commits_unknown,
    why_not_ready,
)

MOVED = datetime(2027, 1, 15, 20, 0, tzinfo=UTC)
NOW = MOVED + timedelta(hours=5)
SECOND = timedelta(seconds=1)


def database(newest: datetime | None = NOW, state: str | None = "ONLINE", **more: Any) -> DatabaseView:
    return DatabaseView(state=state, newest=newest, detail=f"database Orders is {state}", **more)


def look(home: DatabaseView | None = None, azure: DatabaseView | None = None, **more: Any) -> HomeLook:
    sides = {"home": {"orders": home or database()}, "azure": {"orders": azure or database()}}
    return HomeLook(at=NOW, moved_at=MOVED, **sides, **more)


def test_two_equal_sites_are_ready() -> None:
    assert why_not_ready(look()) is None
    assert behind(look(), Failback()) is None


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        pytest.param(
            HomeLook(at=NOW, home={}, azure={}), "No database is measured at both sites", id="nothing to compare"
        ),
        pytest.param(look(home=database(state="RESTORING")), "restored WITH STANDBY", id="home restores"),
        pytest.param(look(home=database(state=None)), "Home's database does not answer: orders", id="home is silent"),
        pytest.param(look(azure=database(state="SUSPECT")), "Azure's database does not answer", id="Azure is ill"),
        pytest.param(look(home=database(NOW + SECOND)), "Databases at home are being written to", id="home is ahead"),
        pytest.param(
            look(own_writes={"orders": True}), "Databases at home are being written to", id="home has rows of its own"
        ),
    ],
)
def test_what_stands_in_the_way_is_named(seen: HomeLook, says: str) -> None:
    assert says in (why_not_ready(seen) or "")


def test_a_copy_is_no_write_where_rows_can_be_counted() -> None:
    assert why_not_ready(look(home=database(NOW + SECOND), own_writes={"orders": False})) is None


def test_what_home_took_before_the_cutover_is_stranded_and_no_write() -> None:
    seen = look(home=database(MOVED - SECOND, rows=12), azure=database(rows=5))
    assert seen.written_at_home == {}
    assert seen.stranded == 7
    assert "Home has 7 rows from before the failover that Azure does not have" in sign_off(seen, Failback())


@pytest.mark.parametrize(("lag", "limit", "ready"), [(0, 60, True), (60, 60, True), (61, 60, False), (1, 0, False)])
def test_home_may_lag_by_the_plans_limit(lag: int, limit: int, ready: bool) -> None:
    seen = look(home=database(NOW - lag * SECOND))
    assert (behind(seen, Failback(max_lag=limit * SECOND)) is None) is ready


def test_a_lag_that_cannot_be_measured_is_not_small() -> None:
    assert "home's lag is unknown" in (behind(look(home=database(None)), Failback()) or "")


@pytest.mark.parametrize(
    ("azure", "stopped"),
    [
        (database(), False),
        (database(read_only=True), True),
        (database(state="RESTORING", newest=None), True),
        (database(state="OFFLINE", newest=None), True),
        (database(state="RECOVERING", newest=None), False),
        (database(state=None, newest=None), False),
    ],
)
def test_a_stop_is_believed_only_when_sql_server_refuses_writes(azure: DatabaseView, stopped: bool) -> None:
    assert (still_takes_writes(look(azure=azure)) is None) is stopped


def test_azures_last_commit_is_read_or_reported_or_unknown() -> None:
    restoring = database(state="RESTORING", newest=None)
    assert last_commits(look(), {"orders": MOVED}) == {"orders": NOW}
    assert last_commits(look(azure=restoring), {"orders": MOVED}) == {"orders": MOVED}
    assert why_commits_unknown(last_commits(look(azure=restoring), {})) is not None
    assert why_commits_unknown({"orders": NOW}) is None


@pytest.mark.parametrize(
    ("home", "says"),
    [
        (NOW, None),
        (NOW - timedelta(milliseconds=4), None),
        (NOW - SECOND, "Home's newest change in orders is from"),
        (NOW + SECOND, "home is being written to"),
        (None, "could not be read"),
    ],
)
def test_home_must_hold_exactly_azures_last_change(home: datetime | None, says: str | None) -> None:
    found = missing_at_home({"orders": database(home)}, {"orders": NOW})
    assert (found is None) if says is None else (says in (found or ""))
