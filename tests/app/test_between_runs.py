"""Housekeeping between runs, through the real app: leftovers, the latch, the old primary.

One lab for this file: first its primary serves, then, from the fixture ``moved`` on, customers are served from Azure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from lab.cloud.times import Times
from lab.site.sql_server import ShopOrder
from tests.app.api import Api
from tests.plans import contoso_with
from tests.waiting import LIMIT, wait_until

QUICK = Times(run_command=10, machine=20, boot_sql=20, boot_iis=20, delete_machine=5)
ENABLED = "The primary endpoint on-premises was enabled by hand"
LOCKED_AGAIN = "The primary endpoint has been disabled again (latch_again)."
ANSWERS = "The old primary answers again"
WRITES = "The old primary still takes writes"
STUCK = "could not be deleted"
"""The plan's operation_timeout in real time."""


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    plan = contoso_with({"traffic.latch_again": False, "recovery.operation_timeout": "3m"})
    # Customers who follow every switch would themselves write to the old primary.
    with Api(plan, "housekeeping", times=QUICK, customers_every=1e9) as api:
        yield api


@pytest.fixture(scope="module")
def moved(api: Api) -> Api:
    """Customers are served from Azure, and the primary is down."""
    api.perform("site.stop", target="primary")
    started = api.post("/api/plans/contoso/failover", {"reason": "The site is dead"})
    assert started.status == 202, started.text
    assert api.finished(started.json["run_id"])["outcome"] == "succeeded"
    return api


def warnings(api: Api) -> list[str]:
    """After another round of housekeeping."""
    api.housekeeping()
    found: list[str] = api.plan()["warnings"]
    return found


def warned(api: Api, words: str) -> None:
    """The warning is in the plan, in the site's events, and sent once; it stays without being sent again."""
    before = api.notified(words)
    (warning,) = warnings(api)
    assert words in warning
    assert warnings(api) == [warning]
    assert api.story()[0] == warning
    assert api.notified(words) == before + 1


def passed(api: Api, words: str) -> None:
    assert warnings(api) == []
    assert api.story()[0].startswith("Resolved: ")
    assert words in api.story()[0]


def housekept(api: Api, done: Callable[[], bool], what: str) -> None:
    """Housekeeping every other second, as its timer runs it: more often, Azure would throttle it."""

    def again() -> bool:
        api.housekeeping()
        with suppress(AssertionError):
            return wait_until(done, 2.0, what)
        return False

    wait_until(again, LIMIT, what)


@contextmanager
def switched(api: Api, endpoint: str, to: str) -> Iterator[None]:
    """An endpoint is switched in the portal, and restored at the end."""
    api.perform(f"traffic.{to}", endpoint=endpoint)
    try:
        yield
    finally:
        api.perform(f"traffic.{'disable' if to == 'enable' else 'enable'}", endpoint=endpoint)
        api.housekeeping()


@contextmanager
def old_primary_runs(api: Api) -> Iterator[None]:
    api.perform("site.start", target="primary")
    try:
        yield
    finally:
        api.perform("site.stop", target="primary")
        api.housekeeping()


# While the primary serves


def test_all_is_quiet_while_everything_is_as_it_must_be(api: Api) -> None:
    assert warnings(api) == []
    assert (api.story(), api.notified("")) == ([], 0)


def test_what_a_run_left_is_cleared_away_as_soon_as_azure_allows_it(api: Api) -> None:
    """Its sealed history does not change."""
    api.perform("arm.fault", operation="DELETE virtualMachines", error="ScopeLocked", times=10_000)
    with api.started("drill") as run_id:
        wait_until(lambda: api.step(run_id, "create_machine"), LIMIT, "the drill makes a machine")
        api.post(f"/api/runs/{run_id}/abort")
        run = api.finished(run_id)
    assert run["outcome"] == "aborted"
    assert "Cleanup is incomplete" in run["ended_because"]
    assert api.left_over()
    warned(api, STUCK)
    assert run_id in api.plan()["warnings"][0]
    api.perform("arm.heal")
    housekept(api, lambda: not api.left_over(), "the leftovers are cleared away")
    passed(api, STUCK)
    assert api.read(run_id) == run
    assert api.history_intact()


@pytest.mark.parametrize(
    ("endpoint", "to", "words"),
    [("azure", "enable", "has no site behind it"), ("on-premises", "disable", "Enable it in the portal")],
)
def test_routing_that_was_changed_by_hand_is_reported_while_the_primary_serves(
    api: Api, endpoint: str, to: str, words: str
) -> None:
    with switched(api, endpoint, to):
        warned(api, words)
    passed(api, words)


def test_housekeeping_looks_at_the_replica_and_says_from_when_its_data_are(api: Api) -> None:
    def known() -> bool:
        return api.plan()["replica"]["data_until"] is not None

    housekept(api, known, "housekeeping has looked at the replica")
    replica = api.plan()["replica"]
    assert (replica["state"], replica["connected"], replica["problem"]) == ("good", True, None)


# After a failover


def test_a_silent_and_locked_primary_is_no_news(moved: Api) -> None:
    assert warnings(moved) == []


def test_each_day_in_azure_is_told_once_until_customers_are_home(moved: Api) -> None:
    since = moved.plan()["last_point_at"] or datetime.now(UTC).isoformat()
    for days, span in ((1, "1 day"), (7, "7 days")):
        moved.change_state(latched_at=(datetime.now(UTC) - timedelta(days=days, hours=1)).isoformat())
        before = moved.notified("Not protected by replication")
        (warning,) = warnings(moved)
        assert warning.startswith(f"Not protected by replication for {span}: customers are served from Azure.")
        assert ("certificates" in warning) is (days == 7)
        assert warnings(moved) == [warning]
        assert moved.notified("Not protected by replication") == before + 1
    moved.change_state(latched_at=since)
    passed(moved, "Not protected by replication for 7 days")


def test_the_machines_that_serve_are_never_cleared_away(moved: Api) -> None:
    built, before = moved.left_over(), moved.writes()
    for _ in range(3):
        moved.housekeeping()
    assert (moved.left_over(), moved.writes()) == (built, before)
    assert [path for path in built if "/virtualmachines/" in path]


def test_an_old_primary_that_was_enabled_by_hand_is_reported_and_left_to_the_operator(moved: Api) -> None:
    with switched(moved, "on-premises", "enable"):
        warned(moved, ENABLED)
        assert moved.on_loop(lambda: moved.lab.traffic.endpoints["on-premises"].enabled)
    passed(moved, ENABLED)


def test_a_warning_does_not_pass_because_checks_failed(moved: Api) -> None:
    with switched(moved, "on-premises", "enable"):
        before = moved.notified(ENABLED)
        known = warnings(moved)
        moved.perform("arm.fault", operation="GET externalEndpoints", error="429", times=100)
        unseen = warnings(moved)
        moved.perform("arm.heal")
        assert (unseen, warnings(moved), moved.notified(ENABLED)) == (known, known, before + 1)
    passed(moved, ENABLED)


def test_a_recovery_endpoint_that_was_disabled_by_hand_is_reported(moved: Api) -> None:
    with switched(moved, "azure", "disable"):
        warned(moved, "but the recovery site is the active site")
    passed(moved, "but the recovery site is the active site")


def test_an_old_primary_that_answers_is_told_by_the_signals_that_saw_it(moved: Api) -> None:
    with old_primary_runs(moved):
        warned(moved, ANSWERS)
        (warning,) = moved.plan()["warnings"]
        assert "vpn: " in warning
        assert "public: " in warning
    passed(moved, ANSWERS)


def test_an_old_primary_that_takes_writes_is_told(moved: Api) -> None:
    def write() -> None:
        server = moved.lab.sites.primary_sql
        assert server is not None
        server.load([ShopOrder("placed in the office", datetime.now(UTC).isoformat())])

    with old_primary_runs(moved):
        assert [WRITES in warning for warning in warnings(moved)] == [False]
        moved.on_loop(write)
        before, answers = moved.notified(WRITES), moved.notified(ANSWERS)
        assert [warning for warning in warnings(moved) if WRITES in warning]
        moved.housekeeping()
        assert (moved.notified(WRITES), moved.notified(ANSWERS)) == (before + 1, answers)
    assert [warning for warning in warnings(moved) if ANSWERS in warning] == []


def test_a_pause_is_in_the_story_with_its_reason(moved: Api) -> None:
    moved.post("/api/plans/contoso/pause", {"for": "2h", "reason": "new firewall"})
    moved.post("/api/plans/contoso/pause", {"for": "0s", "reason": "it is in"})
    ended, paused = moved.story()[:2]
    assert paused.startswith("Automatic failover: paused for 2 h by ")
    assert paused.endswith(": new firewall")
    assert ended.startswith("Automatic failover: pause ended by ")


# The same site after a deployment that sets latch_again


@pytest.fixture(scope="module")
def locking(moved: Api) -> Api:
    file = moved.lab.folder / "plans" / "contoso.yaml"
    file.write_text(file.read_text().replace("latch_again: false", "latch_again: true"))
    moved.perform("worker.kill", when="now")

    def deployed() -> bool:
        answer = moved.get("/api/plans/contoso")
        return answer.status == 200 and bool(answer.json["plan"]["traffic"]["latch_again"])

    wait_until(deployed, LIMIT, "a worker with the new plan")
    return moved


def test_an_old_primary_that_was_enabled_by_hand_is_locked_out_again(locking: Api) -> None:
    known, before = warnings(locking), locking.notified(LOCKED_AGAIN)
    locking.perform("traffic.enable", endpoint="on-premises")
    assert warnings(locking) == known
    assert not locking.on_loop(lambda: locking.lab.traffic.endpoints["on-premises"].enabled)
    assert locking.story()[0] == f"{ENABLED} in Traffic Manager, while customers are served from Azure. {LOCKED_AGAIN}"
    locking.housekeeping()
    assert locking.notified(LOCKED_AGAIN) == before + 1


def test_during_a_pause_it_is_only_told_and_locked_out_afterwards(locking: Api) -> None:
    locking.post("/api/plans/contoso/pause", {"for": "2h", "reason": "we try the old site"})
    with switched(locking, "on-premises", "enable"):
        assert [warning for warning in warnings(locking) if ENABLED in warning]
        assert locking.on_loop(lambda: locking.lab.traffic.endpoints["on-premises"].enabled)
        locking.post("/api/plans/contoso/pause", {"for": "0s", "reason": "done"})
        assert [warning for warning in warnings(locking) if ENABLED in warning] == []
        assert not locking.on_loop(lambda: locking.lab.traffic.endpoints["on-premises"].enabled)
    assert [event for event in locking.story()[:3] if LOCKED_AGAIN in event]
    assert [event for event in locking.story()[:3] if event.startswith(f"Resolved: {ENABLED}")]


def test_without_a_recovery_endpoint_the_primary_is_not_locked_out(locking: Api) -> None:
    """Otherwise no site would serve."""
    with switched(locking, "azure", "disable"), switched(locking, "on-premises", "enable"):
        assert [warning for warning in warnings(locking) if ENABLED in warning]
        assert locking.on_loop(lambda: locking.lab.traffic.endpoints["on-premises"].enabled)
    warnings(locking)


def test_after_all_this_every_seal_holds(locking: Api) -> None:
    assert locking.history_intact()
