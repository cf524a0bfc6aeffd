"""The app's own functions beside a real history: runs of several plans, runs that begin while others are ended, and what
housekeeping stops, warns of and forgets.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from types import ModuleType
from typing import Any, Literal

import azure.functions as func
import pytest

from functions.deployed_plans import PLANS
from functions.http.auth import KEY_HOLDER
from functions.triggers.runs import list_runs
from shared.models import ids
from shared.models.errors import PlanBusyError
from shared.models.ids import EVENT_ABORT
from shared.models.plan import Endpoint, RecoveryPlan
from shared.models.runs import Outcome, Phase, RecoveryRun
from shared.services import lost_runs
from shared.services.housekeeping import tidy, warn_of_plans_that_are_gone
from shared.services.lost_runs import end_what_is_lost
from shared.services.site_warnings import check_site
from shared.services.start_run import begin_run
from shared.services.verify_history import verify_history
from shared.store import site_state
from shared.store.runs import read_run, update_run
from tests.lab.app_side import AppSide, opened
from tests.lab.azure import PROFILE, RECOVERY
from tests.plans import contoso

_NUMBERS = count(1)


@pytest.fixture
def plan() -> RecoveryPlan:
    """The test's own plan, whose history no other test writes."""
    return another()


def another() -> RecoveryPlan:
    return contoso().model_copy(update={"name": f"among{next(_NUMBERS)}"})


@pytest.fixture
def readable(plan: RecoveryPlan) -> RecoveryPlan:
    """The test's own plan, whose profile and recovery group are those of the simulated Azure. It has no address for messages."""
    routes = {"profile": PROFILE} | {
        "primary": Endpoint(endpoint="primary", type="externalEndpoints"),
        "recovery": Endpoint(endpoint="recovery", type="azureEndpoints"),
    }
    traffic = plan.traffic.model_copy(update=routes)
    recovery = plan.recovery.model_copy(update={"resource_group": RECOVERY})
    return plan.model_copy(update={"traffic": traffic, "recovery": recovery, "notify": []})


class Engine:
    """A durable engine that only keeps a list: an orchestration runs until a test ends it. ``ended`` is when each of
    the others began.
    """

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.ended: dict[str, datetime] = {}
        self.sent: list[tuple[str, str, dict[str, Any]]] = []

    async def start(self, orchestrator: str, instance_id: str, data: dict[str, Any]) -> None:
        self.running.add(instance_id)

    async def state(self, instance_id: str) -> Literal["running", "ended", "unknown"]:
        return "running" if instance_id in self.running else "unknown"

    async def send(self, instance_id: str, event: str, data: dict[str, Any]) -> None:
        self.sent.append((instance_id, event, data))

    async def purge_ended_before(self, moment: datetime) -> None:
        self.ended = {instance: began for instance, began in self.ended.items() if began >= moment}

    def aborted(self, run_id: str) -> bool:
        return any((instance, event) == (run_id, EVENT_ABORT) for instance, event, _ in self.sent)


# Runs that begin while housekeeping looks


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("reading", [(lost_runs, "list_runs"), (site_state, "read_state")], ids=["runs", "state"])
def test_a_drill_that_begins_while_housekeeping_looks_is_not_ended(
    app: AppSide,
    plan: RecoveryPlan,
    monkeypatch: pytest.MonkeyPatch,
    reading: tuple[ModuleType, str],
    when: Literal["before", "after"],
) -> None:
    """Both timers fire in the same second, so a drill may take its lock between any two reads of housekeeping."""
    engine, begun = Engine(), list[RecoveryRun]()
    module, name = reading
    read = getattr(module, name)

    async def a_drill_begins() -> None:
        monkeypatch.setattr(module, name, read)
        begun.append(await begin_run(engine, plan, "drill", "planned", "schedule", "It is due"))

    async def while_it_is_read(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            await a_drill_begins()
        found = await read(*arguments, **named)
        if when == "after":
            await a_drill_begins()
        return found

    async def night() -> tuple[str | None, RecoveryRun]:
        monkeypatch.setattr(module, name, while_it_is_read)
        await end_what_is_lost(plan, engine)
        await end_what_is_lost(plan, engine)
        return (await site_state.read_state(plan.name)).active_run, await read_run(begun[0].run_id)

    holder, drill = app.run(night())
    assert (holder, drill.outcome, engine.sent) == (drill.run_id, None, [])


def test_a_drill_whose_plan_was_taken_long_ago_is_told_although_whoever_took_it_died(
    app: AppSide, plan: RecoveryPlan
) -> None:
    async def night() -> tuple[Engine, RecoveryRun, str]:
        engine = Engine()
        drill = await opened(plan.name, at=datetime.now(UTC) - timedelta(minutes=10))
        engine.running.add(drill.run_id)
        failover = await begin_run(engine, plan, "failover", "automatic", "watch", "The endpoint is degraded")
        await end_what_is_lost(plan, engine)
        return engine, drill, failover.run_id

    engine, drill, failover = app.run(night())
    assert (drill.run_id, EVENT_ABORT, {"by": failover, "preempted": True}) in engine.sent
    assert not engine.aborted(failover)


def test_a_run_that_is_only_beginning_is_not_taken_for_lost(app: AppSide, plan: RecoveryPlan) -> None:
    """Its row is written, and the engine does not know its orchestration yet."""

    async def night() -> RecoveryRun:
        run = await opened(plan.name, "failover")
        await end_what_is_lost(plan, Engine())
        return await read_run(run.run_id)

    assert app.run(night()).outcome is None


# An operator takes over from an automatic check


def test_an_operator_takes_over_from_an_automatic_run_that_is_still_checking(app: AppSide, plan: RecoveryPlan) -> None:
    async def night() -> tuple[Engine, RecoveryRun, RecoveryRun, str | None]:
        engine = Engine()
        check = await begin_run(engine, plan, "failover", "automatic", "watch", "Not reached twice")
        mine = await begin_run(engine, plan, "failover", "unplanned", "operator", "I see the fire")
        return engine, check, mine, (await site_state.read_state(plan.name)).active_run

    engine, check, mine, holder = app.run(night())
    assert holder == mine.run_id
    assert (check.run_id, EVENT_ABORT, {"by": mine.run_id, "preempted": True}) in engine.sent


@pytest.mark.parametrize("held_by", ["a run that builds", "another operator", "a run without a row yet"])
def test_an_operator_takes_over_from_no_other_run(app: AppSide, plan: RecoveryPlan, held_by: str) -> None:
    async def night() -> None:
        engine, trigger = Engine(), "operator" if held_by == "another operator" else "alert"
        if held_by == "a run without a row yet":
            await site_state.take_lock(plan.name, ids.new_run_id(plan.name, "failover", datetime.now(UTC)), "failover")
        else:
            holder = await begin_run(engine, plan, "failover", "automatic", trigger, "First")
            if held_by == "a run that builds":
                await update_run(holder.run_id, phase=Phase.RECOVERING)
        await begin_run(engine, plan, "failover", "unplanned", "operator", "I see the fire")

    with pytest.raises(PlanBusyError):
        app.run(night())


def test_an_end_that_was_cut_off_is_completed(app: AppSide, plan: RecoveryPlan) -> None:
    """The row says that the run has ended, and the process died before the document was written."""

    async def night() -> tuple[int | None, list[str]]:
        run = await opened(plan.name, at=datetime.now(UTC) - timedelta(hours=2))
        ended_at = datetime.now(UTC) - timedelta(hours=2)
        await update_run(run.run_id, forced=True, phase=Phase.COMPLETED, outcome=Outcome.FAILED, ended_at=ended_at)
        before = (await verify_history(plan.name)).problems
        assert before == [f"The document of run {run.run_id} is missing."]
        await end_what_is_lost(plan, Engine())
        return (await read_run(run.run_id)).document, (await verify_history(plan.name)).problems

    assert app.run(night()) == (1, [])


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_a_lost_run_is_not_over_while_a_child_of_any_attempt_still_builds(
    app: AppSide, plan: RecoveryPlan, attempt: int
) -> None:
    """Its row says that building began twice, and the third attempt may have begun before the row could say so."""
    engine = Engine()

    async def night() -> tuple[str, RecoveryRun, RecoveryRun]:
        run = await opened(plan.name, at=datetime.now(UTC) - timedelta(hours=2))
        await update_run(run.run_id, builds=2)
        child = ids.child_instance(run.run_id, "iis", attempt)
        engine.running.add(child)
        await end_what_is_lost(plan, engine)
        meanwhile = await read_run(run.run_id)
        engine.running.clear()
        await end_what_is_lost(plan, engine)
        return child, meanwhile, await read_run(run.run_id)

    child, meanwhile, afterwards = app.run(night())
    assert engine.sent == [(child, EVENT_ABORT, {"by": "the end of its run"})]
    assert (meanwhile.outcome, afterwards.outcome) == (None, Outcome.FAILED)


# What housekeeping warns of, and what it forgets


async def warned(plan: RecoveryPlan, **changes: Any) -> dict[str, str]:
    """The plan's warnings after a round of housekeeping that found the state as it is with these changes."""
    await check_site(plan, await site_state.change_state(plan.name, lambda _: changes))
    return (await site_state.read_state(plan.name)).warnings


def test_a_service_that_stays_unreadable_is_warned_of(
    app: AppSide, readable: RecoveryPlan, caplog: pytest.LogCaptureFixture
) -> None:
    """Azure's own short outages are no news; a right that was taken away is."""
    denied = readable.model_copy(update={"traffic": readable.traffic.model_copy(update={"profile": f"{PROFILE}-2"})})

    def after(minutes: int) -> dict[str, str]:
        began = datetime.now(UTC) - timedelta(minutes=minutes)
        return app.run(warned(denied, unseen_since={"Traffic Manager": began.isoformat()}))

    assert app.run(warned(denied)) == {}
    assert list(app.run(site_state.read_state(denied.name)).unseen_since) == ["Traffic Manager"]
    assert f"Coldsite failed: {denied.name}: Traffic Manager could not be read (" in caplog.text
    assert after(minutes=10) == {}
    ((about, warning),) = after(minutes=20).items()
    assert about == "unseen/Traffic Manager"
    assert warning.startswith("Coldsite has been unable to read Traffic Manager since ")
    assert warning.endswith("Check the roles of its identity.")
    assert f"Coldsite warns: {denied.name}: {warning}" in caplog.text
    assert app.run(warned(readable)) == {}


@pytest.mark.parametrize(
    ("begun", "taken", "says"),
    [
        pytest.param(timedelta(hours=1), timedelta(hours=3), "was begun and did not complete", id="never completed"),
        pytest.param(timedelta(hours=1), None, "was begun and did not complete", id="the first never completed"),
        pytest.param(timedelta(minutes=5), timedelta(hours=1), None, id="still being taken"),
        pytest.param(timedelta(hours=3), timedelta(hours=2), None, id="completed"),
    ],
)
def test_a_recovery_point_that_was_begun_and_never_completed_is_warned_of(
    app: AppSide, readable: RecoveryPlan, begun: timedelta, taken: timedelta | None, says: str | None
) -> None:
    """``begun`` and ``taken`` are how long ago the newest was begun, and how long ago one was taken."""
    now = datetime.now(UTC)
    found = app.run(warned(readable, last_set_at=now - begun, last_point_at=taken and now - taken))
    assert list(found) == (["recovery_points"] if says else [])
    if says:
        assert says in found["recovery_points"]
        assert taken is None or f"The newest is from {now - taken:%Y-%m-%d %H:%M} UTC." in found["recovery_points"]


@pytest.mark.parametrize(
    ("left", "words"),
    [
        pytest.param({"active_run": "d1", "active_kind": "drill"}, "run d1 holds it", id="lock"),
        pytest.param({"frozen_by": "d1", "frozen_at": datetime.now(UTC)}, "its replica is frozen", id="replica"),
        pytest.param({"fenced_by": "f1"}, "its source's writes are stopped", id="source"),
        pytest.param({"active_site": "recovery"}, "its active site is: recovery", id="traffic"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_what_a_plan_left_that_is_no_longer_deployed_is_warned_of(
    app: AppSide, plan: RecoveryPlan, caplog: pytest.LogCaptureFixture, left: dict[str, Any], words: str | None
) -> None:
    def warnings() -> list[str]:
        return [message for message in caplog.messages if f"plan {plan.name} is" in message]

    app.run(site_state.change_state(plan.name, lambda _: {"pause_reason": "it has a state"} | left))
    app.run(warn_of_plans_that_are_gone([plan.name]))
    assert warnings() == []
    app.run(warn_of_plans_that_are_gone([]))
    gone = f"Coldsite warns: plan {plan.name} is no longer deployed, and {words}. Deploy it again."
    assert warnings() == ([gone] if words else [])


def test_orchestrations_that_ended_long_ago_are_purged_once_a_day(app: AppSide, readable: RecoveryPlan) -> None:
    engine, now = Engine(), datetime.now(UTC)
    old = {"old": now - timedelta(days=8)}
    recent = {"recent": now - timedelta(days=6)}

    def kept() -> dict[str, datetime]:
        """Of an old one and a recent one, after a round of housekeeping."""
        engine.ended = old | recent
        app.run(tidy(readable, engine))
        return engine.ended

    assert kept() == recent
    assert kept() == old | recent
    app.run(site_state.change_state(readable.name, lambda _: {"purged_at": now - timedelta(hours=25)}))
    assert kept() == recent


# Pages of runs


async def page(**query: str) -> list[str]:
    request = func.HttpRequest("GET", "http://localhost/api/runs", params=query, body=b"")
    answer = await list_runs(KEY_HOLDER, request)
    assert answer.status_code == 200, answer.get_body()
    return [run["run_id"] for run in json.loads(answer.get_body())["runs"]]


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three plans."""
    plans = {plan.name: plan for plan in (another(), another(), another())}
    for name in list(PLANS):
        monkeypatch.delitem(PLANS, name)
    for name, plan in plans.items():
        monkeypatch.setitem(PLANS, name, plan)
    return list(plans)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_pages_across_plans_leave_no_run_out_and_tell_none_twice(app: AppSide, deployed: list[str], size: int) -> None:
    first, second, third = deployed
    began = datetime.now(UTC) - timedelta(hours=1)
    order = [first, second, second, first, third, first, first, second, third]

    async def story() -> tuple[list[str], list[str]]:
        runs = [
            await opened(name, "failover" if minute % 2 else "drill", began + timedelta(minutes=minute))
            for minute, name in enumerate(order)
        ]
        found: list[str] = []
        while more := await page(limit=str(size), **({"before": found[-1]} if found else {})):
            assert len(more) <= size
            found += more
        return [run.run_id for run in reversed(runs)], found

    newest_first, found = app.run(story())
    assert found == newest_first


def test_runs_before_one_of_another_plan_are_older_ones_of_the_plan_that_is_asked_for(
    app: AppSide, deployed: list[str]
) -> None:
    first, second, _ = deployed
    began = datetime.now(UTC) - timedelta(hours=1)

    async def story() -> tuple[list[RecoveryRun], list[str], list[str]]:
        runs = [await opened(name, at=began + timedelta(minutes=n)) for n, name in enumerate([first, second] * 3)]
        asked = runs[3].run_id
        return runs, await page(plan=first, before=asked), await page(plan=first, kind="failover", before=asked)

    runs, of_the_first, failovers = app.run(story())
    assert of_the_first == [runs[2].run_id, runs[0].run_id]
    assert failovers == []
    assert ids.parse_run_id(runs[3].run_id) is not None
