"""Any order of events, in a world that may fail anywhere: the promises hold, and the world comes to rest."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal, cast, get_args

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import Phase as HypothesisPhase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.model.activities import app_activities
from tests.model.azure import Trouble
from tests.model.engine import Mishap
from tests.model.front import CutOff, Front, Steering
from tests.model.plans import model_plan
from tests.model.promises import (
    WAITING,
    check_always,
    check_at_rest,
    check_that_all_rests,
    check_what_runs_say,
    come_to_rest,
)
from tests.model.site import Line
from tests.model.world import World

ORDERS = [
    "freeze_replication",
    "thaw_replication",
    "take_recovery_point",
    "create_disk",
    "create_machine",
    "create_machine",
    "enable_recovery",
    "disable_primary",
]
REFUSED = st.tuples(st.sampled_from(ORDERS), st.sampled_from(get_args(Trouble)), st.sampled_from([1, 2, 8]))
RECOVERY_SIDE = ["sql", "iis", "the site", "dns", "the region", "deletions", "scripts", "mirroring", "stopped"]
LATER = st.sampled_from([0, 1, 5, 20, 45, 90, 240])
"""Seconds until the next event."""


def happening(**drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule, followed by some time."""

    def decorate(what: Callable[..., None]) -> Any:
        @functools.wraps(what)
        def happens(self: AnythingMayHappen, then: int, **details: Any) -> None:
            what(self, **details)
            self.world.engine.advance(timedelta(seconds=then))

        return rule(then=LATER, **drawn)(happens)

    return decorate


class AnythingMayHappen(RuleBasedStateMachine):
    """Every rule is an event that may happen in a night."""

    @initialize(
        mode=st.sampled_from(["observe", "approve", "automatic", "automatic"]),
        after_hold=st.sampled_from(["retry", "abort"]),
        story=st.sampled_from(["a quiet night", "an outage", "an outage", "a drill", "a person's failover"]),
        refused=st.lists(REFUSED, max_size=2),
        minutes=st.integers(0, 4),
        fenced=st.booleans(),
    )
    def begin(
        self,
        mode: str,
        after_hold: str,
        story: str,
        refused: list[tuple[str, Trouble, int]],
        minutes: int,
        fenced: bool,
    ) -> None:
        plan = model_plan(mode, after_hold, fenced)
        self.world = World(plan)
        self.front = Front(self.world, plan)
        self.disasters = 0
        for trouble in refused:
            self.world.azure.trouble(*trouble)
        if story == "an outage":
            self._disaster()
        elif story == "a drill":
            self.front.drill("schedule")
        elif story == "a person's failover":
            self.front.failover("planned" if fenced else "unplanned", acknowledge=True)
        self.world.engine.advance(timedelta(minutes=minutes))

    # The primary

    @precondition(lambda self: self.world.primary.alive)
    @happening()
    def disaster_strikes(self) -> None:
        self._disaster()

    def _disaster(self) -> None:
        self.disasters += 1
        self.world.primary.change(alive=False)
        self.world.engine.advance(timedelta(minutes=1))
        self.front.alert("disaster", "Fired", self.disasters)

    @happening(what=st.sampled_from(["primary", "primary", *get_args(Line)]))
    def primary_or_line_fails_or_returns(self, what: Any) -> None:
        primary = self.world.primary
        if what == "primary":
            primary.change(alive=not primary.alive)
        else:
            primary.change(**{"heal" if what in primary.cut else "cut": what})

    # Coldsite is called

    @happening(
        alert=st.sampled_from(["disaster", "another"]),
        condition=st.sampled_from(["Fired", "Resolved"]),
        moment=st.sampled_from([0, 1]),
    )
    def alert_comes(self, alert: str, condition: Literal["Fired", "Resolved"], moment: int) -> None:
        self.front.alert(alert, condition, moment)

    @precondition(lambda self: not self._at_work())
    @happening(cut_off=st.sampled_from([None, *get_args(CutOff)]))
    def watch_looks(self, cut_off: CutOff | None) -> None:
        self.front.watch(cut_off)

    @precondition(lambda self: not self._unfinished())
    @happening()
    def recovery_point_is_due(self) -> None:
        self.front.set_is_due()

    @precondition(lambda self: not self._unfinished())
    @happening(trigger=st.sampled_from(["operator", "schedule"]))
    def drill_starts(self, trigger: Literal["operator", "schedule"]) -> None:
        self.front.drill(trigger)

    @precondition(lambda self: not self._at_work())
    @happening(
        planned=st.booleans(),
        acknowledge=st.booleans(),
        point=st.sampled_from(["latest", "latest", "latest_good"]),
    )
    def person_starts_a_failover(self, planned: bool, acknowledge: bool, point: str) -> None:
        mode: Literal["planned", "unplanned"] = "planned" if planned and self.front.plan.fence else "unplanned"
        self.front.failover(mode, acknowledge=acknowledge, recovery_point=point)

    @precondition(lambda self: self._unfinished())
    @happening(how=st.sampled_from(get_args(Steering)), late=st.booleans())
    def person_steers(self, how: Steering, late: bool) -> None:
        for run_id in self._unfinished():
            asked = self.world.records.runs[run_id].holds
            self.front.steer(run_id, how, asked - 1 if late else None)

    @precondition(lambda self: self._waiting())
    @happening()
    def person_says_yes(self) -> None:
        for run_id in self._waiting():
            run = self.world.records.runs[run_id]
            self.front.steer(run_id, cast("Steering", run.answers[0]))

    @happening(activity=st.sampled_from(["enable_recovery", "disable_primary"]))
    def traffic_manager_says_yes_and_does_nothing(self, activity: str) -> None:
        self.world.swallowed[activity] += 1

    @happening()
    def hook_begins_or_ends_to_lie(self) -> None:
        self.world.primary.hook_lies = not self.world.primary.hook_lies

    @happening()
    def person_begins_or_ends_a_pause(self) -> None:
        until = self.world.records.state.paused_until
        paused = until is not None and until > self.world.clock()
        self.front.pause(timedelta(0) if paused else timedelta(minutes=30))

    @precondition(lambda self: self.world.traffic.recovery)
    @happening()
    def person_enables_the_primary_in_the_portal(self) -> None:
        self.front.enable_primary_in_the_portal()

    # Faults

    @happening(
        activity=st.sampled_from(app_activities()),
        mishap=st.sampled_from(get_args(Mishap)),
        times=st.sampled_from([1, 1, 3, 25]),
    )
    def mishap_befalls(self, activity: str, mishap: Mishap, times: int) -> None:
        self.world.engine.befall(activity, mishap, times)

    @happening(refused=REFUSED)
    def azure_refuses(self, refused: tuple[str, Trouble, int]) -> None:
        self.world.azure.trouble(*refused)

    @happening(what=st.sampled_from(RECOVERY_SIDE))
    def recovery_side_breaks_or_is_repaired(self, what: Any) -> None:
        world = self.world
        match what:
            case "the site":
                world.site_is_broken = not world.site_is_broken
            case "dns":
                world.dns_is_stuck = not world.dns_is_stuck
            case "the region":
                world.primary.azure_in_trouble = not world.primary.azure_in_trouble
            case "deletions":
                world.azure.locked = not world.azure.locked
            case "scripts":
                world.azure.scripts_fail = not world.azure.scripts_fail
            case "mirroring" | "stopped":
                world.replica.state = what if world.replica.state == "good" else "good"
            case workload:
                world.azure.broken ^= {workload}

    @precondition(lambda self: self._unfinished())
    @happening(minutes=st.sampled_from([1, 5, 30]))
    def history_is_away(self, minutes: int) -> None:
        """An activity's attempts last for a quarter of an hour."""
        self.world.history_away_until = self.world.clock() + timedelta(minutes=minutes)

    @precondition(lambda self: self._carried_on())
    @happening()
    def hub_loses_a_run(self) -> None:
        self.world.engine.lose(self._carried_on()[-1])

    # Time

    @rule(minutes=st.sampled_from([1, 10, 60]))
    def time_passes_under_watch(self, minutes: int) -> None:
        """The watch runs every minute, and housekeeping every five."""
        for minute in range(minutes):
            self.world.engine.advance(timedelta(minutes=1))
            self.front.watch()
            if minute % 5 == 0:
                self.front.housekeeping()

    @rule(hours=st.sampled_from([1, 3]))
    def hours_pass_without_a_check(self, hours: int) -> None:
        self.world.engine.advance(timedelta(hours=hours))

    def _unfinished(self) -> list[str]:
        return [run.run_id for run in self.world.records.runs.values() if run.outcome is None]

    def _at_work(self) -> list[str]:
        """Failovers that have not ended; a drill blocks no failover."""
        return [run_id for run_id in self._unfinished() if self.world.records.runs[run_id].kind == "failover"]

    def _carried_on(self) -> list[str]:
        return [run_id for run_id in self._unfinished() if self.world.engine.state(run_id) == "running"]

    def _waiting(self) -> list[str]:
        return [run_id for run_id in self._unfinished() if self.world.records.runs[run_id].phase in WAITING]

    # Promises

    @invariant()
    def promises_hold(self) -> None:
        if hasattr(self, "world"):
            check_always(self.world)

    def teardown(self) -> None:
        if not hasattr(self, "world") or not self.world.engine.is_whole:
            return
        come_to_rest(self.world)
        check_what_runs_say(self.world)
        self._tidy_up()
        check_that_all_rests(self.world)
        self._everything_is_mended()
        for _ in range(2):  # A cutover in progress may have another question.
            self._people_answer()
            self._tidy_up()
        check_at_rest(self.world)
        assert not self._unfinished()

    def _tidy_up(self) -> None:
        away = self.world.history_away_until - self.world.clock()
        self.world.engine.advance(max(away, timedelta(0)))
        for _ in range(3):
            come_to_rest(self.world)
            self.front.housekeeping()
            self.world.engine.advance(timedelta(minutes=5))
        come_to_rest(self.world)

    def _everything_is_mended(self) -> None:
        world = self.world
        world.engine.calm()
        world.azure.calm()
        world.site_is_broken = world.dns_is_stuck = False
        world.replica.state = "good"
        world.swallowed.clear()
        world.primary.hook_lies = False

    def _people_answer(self) -> None:
        for run_id in self._unfinished():
            run = self.world.records.runs[run_id]
            assert self.front.steer(run_id, "retry" if run.cutover.is_committed else "abort")


SETTINGS = settings(
    deadline=None,
    database=None,
    max_examples=10,
    stateful_step_count=30,
    phases=(HypothesisPhase.generate, HypothesisPhase.shrink),
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
"""Hypothesis varies its first ten examples most; further nights bring more than further examples."""


@pytest.mark.parametrize("night", range(16))
def test_what_was_promised_holds_whatever_happens(night: int) -> None:
    run_state_machine_as_test(seed(night)(AnythingMayHappen), settings=SETTINGS)
