"""The history in Azurite: the documents of ended runs, and recorded alerts."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from azure.data.tables import UpdateMode

from shared.models.alert import Alert
from shared.models.ids import Kind, parse_run_id
from shared.models.runs import AFTER_THE_END, STEPS_AFTER_THE_END, Outcome, Phase
from shared.models.steps import RunRef, Step
from shared.services.end_run import end_orphan, end_run, steps_of
from shared.services.verify_history import verify_history
from shared.store import alerts, tables
from shared.store.alerts import AT_ONCE, Received
from shared.store.documents import read_chain
from shared.store.runs import read_run
from shared.store.steps import begin_step, end_step, read_steps
from tests.lab.app_side import AppSide, opened, with_a_history

_NUMBERS = count(1)
STARTED = Received(run_id="contoso-f20270115203000000-abcd", answer="A run was started.")


@pytest.fixture(scope="module")
def app() -> Iterator[AppSide]:
    with with_a_history() as app:
        yield app


@pytest.fixture
def plan() -> str:
    """The test's own plan, whose history no other test writes."""
    return f"plan{next(_NUMBERS)}"


# Documents


async def begun(plan: str, kind: Kind = "drill") -> RunRef:
    return RunRef(run_id=(await opened(plan, kind)).run_id, plan=plan, epoch=1)


def steps_after_the_end(app: AppSide, ref: RunRef) -> dict[str, Step]:
    app.run(end_run(ref.run_id, outcome=Outcome.ABORTED))
    return {f"{s.name} {s.target}".strip(): s for s in app.run(steps_of(app.run(read_run(ref.run_id))))}


def test_no_step_goes_on_after_its_run(app: AppSide, plan: str) -> None:
    async def story() -> RunRef:
        ref = await begun(plan)
        run_id = ref.run_id
        await begin_step(run_id, "create_disk", "sql/os", 1)
        await end_step(run_id, "create_disk", "sql/os", "succeeded")
        await begin_step(run_id, "create_machine", "sql", 1)
        await end_step(
            run_id, "probe_workload", "sql", "running", attempts=7, error="no answer yet", detail={"seen": "nothing"}
        )
        await end_step(run_id, "fence_source", "primary", "failed", attempts=1, error="not reached")
        await end_step(run_id, "recover", "iis", "skipped", attempts=0)
        return ref

    steps = steps_after_the_end(app, app.run(story()))
    assert {name: step.status for name, step in steps.items()} == {
        "create_disk sql/os": "succeeded",
        "create_machine sql": "failed",
        "probe_workload sql": "failed",
        "fence_source primary": "failed",
        "recover iis": "skipped",
    }
    cut_off, probed = steps["create_machine sql"], steps["probe_workload sql"]
    assert cut_off.error == "It was not finished when the run ended."
    assert (probed.error, probed.attempts, probed.detail) == ("no answer yet", 7, {"seen": "nothing"})
    assert cut_off.ended_at is not None
    assert probed.ended_at is not None
    assert steps["fence_source primary"].error == "not reached"


@pytest.mark.parametrize("name", sorted(STEPS_AFTER_THE_END))
def test_a_step_that_comes_after_the_end_may_still_go_on(app: AppSide, plan: str, name: str) -> None:
    ref = app.run(begun(plan))
    app.run(begin_step(ref.run_id, name, "", 1))
    assert steps_after_the_end(app, ref)[name].status == "running"


def test_ending_again_changes_nothing_not_even_a_step_that_began_late(app: AppSide, plan: str) -> None:
    ref = app.run(begun(plan))
    app.run(end_run(ref.run_id, outcome=Outcome.ABORTED))
    before = app.run(read_run(ref.run_id))
    app.run(begin_step(ref.run_id, "notify", "finished", 1))
    app.run(end_run(ref.run_id, outcome=Outcome.SUCCEEDED, ended_because="Another word"))
    assert app.run(read_run(ref.run_id)) == before
    assert (before.document, before.outcome) == (1, Outcome.ABORTED)
    (step,) = app.run(read_steps(ref.run_id))
    assert step.status == "running"


def test_a_step_that_is_redelivered_after_the_end_does_not_show(app: AppSide, plan: str) -> None:
    async def story() -> RunRef:
        ref = await begun(plan)
        await begin_step(ref.run_id, "disable_primary", "primary", 1)
        await end_step(ref.run_id, "disable_primary", "primary", "succeeded")
        return ref

    ref = app.run(story())
    before = steps_after_the_end(app, ref)
    app.run(begin_step(ref.run_id, "disable_primary", "primary", 1))
    app.run(end_step(ref.run_id, "disable_primary", "primary", "running", error="LostLockError"))
    app.run(end_step(ref.run_id, "check_dns", "shop.example", "succeeded", attempts=3))
    assert {f"{s.name} {s.target}".strip(): s for s in app.run(steps_of(app.run(read_run(ref.run_id))))} == before
    assert app.run(verify_history(plan)).problems == []


def test_each_document_names_the_one_before_it(app: AppSide, plan: str) -> None:
    refs = [app.run(begun(plan)) for _ in range(3)]
    for ref in refs:
        app.run(end_run(ref.run_id, outcome=Outcome.FAILED))
    chain, head = app.run(read_chain(plan))
    assert [document.run_id for document in chain] == [ref.run_id for ref in refs]
    assert [json.loads(document.content)["previous"] for document in chain] == [None, *[d.sha256 for d in chain[:2]]]
    assert (head.number, head.sha256) == (3, chain[2].sha256)


def test_runs_that_end_together_are_chained_one_after_the_other(app: AppSide, plan: str) -> None:
    refs = [app.run(begun(plan)) for _ in range(6)]

    async def all_at_once() -> None:
        await asyncio.gather(*(end_run(ref.run_id, outcome=Outcome.FAILED) for ref in refs))

    app.run(all_at_once())
    check = app.run(verify_history(plan))
    assert (check.documents, check.problems) == (6, [])


async def forget_the_document(ref: RunRef) -> None:
    """As if the worker had died before the run's row names its document."""
    name = parse_run_id(ref.run_id)
    assert name is not None
    rows = await tables.table(tables.RUNS)
    row = dict(await rows.get_entity(name.plan, name.row_key))
    kept = {key: value for key, value in row.items() if key not in AFTER_THE_END}
    await rows.update_entity(kept, mode=UpdateMode.REPLACE)


def test_an_end_that_was_cut_off_keeps_the_document_when_it_is_repeated(app: AppSide, plan: str) -> None:
    ref, other = app.run(begun(plan)), app.run(begun(plan, "failover"))
    app.run(end_run(ref.run_id, outcome=Outcome.PREEMPTED))
    before = app.run(read_run(ref.run_id))
    app.run(forget_the_document(ref))
    app.run(end_run(other.run_id, outcome=Outcome.SUCCEEDED))
    app.run(end_run(ref.run_id, outcome=Outcome.PREEMPTED))
    assert app.run(read_run(ref.run_id)) == before
    assert app.run(verify_history(plan)).problems == []


def test_a_run_that_will_not_end_by_itself_is_ended_once(app: AppSide, plan: str) -> None:
    ref = app.run(begun(plan))
    app.run(begin_step(ref.run_id, "create_machine", "sql", 1))
    app.run(end_orphan(ref.run_id, "Its orchestration is gone."))
    app.run(end_orphan(ref.run_id, "Said again."))
    run = app.run(read_run(ref.run_id))
    assert (run.outcome, run.phase, run.ended_because) == (
        Outcome.FAILED,
        Phase.COMPLETED,
        "Its orchestration is gone.",
    )
    assert [step.status for step in app.run(read_steps(ref.run_id))] == ["failed"]
    assert run.document == 1


def test_a_run_whose_row_was_changed_after_its_end_is_named(app: AppSide, plan: str) -> None:
    ref = app.run(begun(plan))
    app.run(end_run(ref.run_id, outcome=Outcome.FAILED))

    async def forge(**changes: str) -> None:
        name = parse_run_id(ref.run_id)
        assert name is not None
        key = {"PartitionKey": name.plan, "RowKey": name.row_key}
        await (await tables.table(tables.RUNS)).update_entity(key | changes, mode=UpdateMode.MERGE)

    app.run(forge(outcome="succeeded", reason="nothing to see here"))
    (problem,) = app.run(verify_history(plan)).problems
    assert problem == f"The row of run {ref.run_id} differs from its document in reason, outcome."


# Recorded alerts


def alert(number: int | str, condition: str = "Fired", delivery: str = "") -> Alert:
    """``number`` tells one alert from another; the dedupe key is that of its news."""
    key = hashlib.sha256(json.dumps([number, condition, delivery]).encode()).hexdigest()[:32]
    return Alert.model_validate(
        {
            "alert_id": f"alert-{number}",
            "rule": "primary down",
            "condition": condition,
            "service": "Platform",
            "targets": ["/subscriptions/s"],
            "endpoints": [],
            "plan_hint": None,
            "dedupe_key": key,
        }
    )


def keep(app: AppSide, plan: str, *news: Alert, opening: bool = True) -> dict[str, Received]:
    ids = {news_item.alert_id for news_item in news if opening and news_item.condition == "Fired"}
    return app.run(alerts.keep(plan, list(news), ids))


def open_alerts(app: AppSide, plan: str) -> int:
    return app.run(alerts.count_open(plan))


def test_news_is_new_once_and_then_tells_what_became_of_it(app: AppSide, plan: str) -> None:
    news = alert(1)
    assert keep(app, plan, news) == {}
    app.run(alerts.answer(plan, {news.dedupe_key: STARTED}))
    assert keep(app, plan, news) == {news.dedupe_key: STARTED}
    assert open_alerts(app, plan) == 1


def test_an_alert_whose_first_delivery_was_cut_off_before_an_answer_counts_as_new(app: AppSide, plan: str) -> None:
    """The worker died between recording and acting: the action group retries, and the alert must still be acted on."""
    news = alert(1)
    assert keep(app, plan, news) == {}
    assert keep(app, plan, news) == {}
    assert open_alerts(app, plan) == 1
    app.run(alerts.answer(plan, {news.dedupe_key: STARTED}))
    assert keep(app, plan, news) == {news.dedupe_key: STARTED}


def test_of_a_batch_only_what_is_known_and_answered_is_old(app: AppSide, plan: str) -> None:
    answered, cut_off, fresh = alert(1), alert(2), alert(3)
    keep(app, plan, answered, cut_off)
    app.run(alerts.answer(plan, {answered.dedupe_key: STARTED}))
    assert keep(app, plan, answered, cut_off, fresh) == {answered.dedupe_key: STARTED}
    assert open_alerts(app, plan) == 3


def test_the_same_news_twice_in_one_batch_is_one(app: AppSide, plan: str) -> None:
    news = alert(1)
    assert keep(app, plan, news, news) == {}
    app.run(alerts.answer(plan, {news.dedupe_key: STARTED}))
    assert keep(app, plan, news, news) == {news.dedupe_key: STARTED}
    assert open_alerts(app, plan) == 1


def test_an_alert_that_fires_again_is_other_news_of_the_same_alert(app: AppSide, plan: str) -> None:
    first, again = alert(1, delivery="20:00"), alert(1, delivery="20:30")
    keep(app, plan, first)
    app.run(alerts.answer(plan, {first.dedupe_key: STARTED}))
    assert keep(app, plan, again) == {}
    assert open_alerts(app, plan) == 1


def test_old_news_opens_nothing_again(app: AppSide, plan: str) -> None:
    news = alert(1)
    keep(app, plan, news)
    app.run(alerts.answer(plan, {news.dedupe_key: STARTED}))
    app.run(alerts.close(plan, news.alert_id))
    assert keep(app, plan, news) == {news.dedupe_key: STARTED}
    assert open_alerts(app, plan) == 0


def test_what_is_resolved_is_no_longer_open(app: AppSide, plan: str) -> None:
    keep(app, plan, alert(1), alert(2))
    keep(app, plan, alert(1, "Resolved"))
    app.run(alerts.close(plan, alert(1).alert_id))
    assert open_alerts(app, plan) == 1
    app.run(alerts.close(plan, alert(1).alert_id))
    app.run(alerts.close(plan, "nobody-knows-it"))
    assert open_alerts(app, plan) == 1


def test_an_alert_that_starts_nothing_opens_nothing(app: AppSide, plan: str) -> None:
    assert keep(app, plan, alert(1), opening=False) == {}
    assert open_alerts(app, plan) == 0


def test_a_primary_that_was_well_closes_what_had_fired_before_and_spares_what_fired_later(
    app: AppSide, plan: str
) -> None:
    keep(app, plan, alert(1), alert(2))
    well_at = datetime.now(UTC)
    keep(app, plan, alert(3))
    app.run(alerts.close_before(plan, well_at - timedelta(minutes=1)))
    assert open_alerts(app, plan) == 3
    app.run(alerts.close_before(plan, well_at))
    assert open_alerts(app, plan) == 1
    app.run(alerts.close(plan, alert(3).alert_id))
    assert open_alerts(app, plan) == 0


def test_an_alert_that_fires_again_after_the_primary_was_well_stays_open(app: AppSide, plan: str) -> None:
    keep(app, plan, alert(1, delivery="20:00"))
    well_at = datetime.now(UTC)
    keep(app, plan, alert(1, delivery="20:30"))
    app.run(alerts.close_before(plan, well_at))
    assert open_alerts(app, plan) == 1


def test_plans_do_not_see_each_others_alerts(app: AppSide, plan: str) -> None:
    news = alert(1)
    keep(app, plan, news)
    app.run(alerts.answer(plan, {news.dedupe_key: STARTED}))
    assert keep(app, f"{plan}b", news) == {}
    app.run(alerts.close_before(f"{plan}b", datetime.now(UTC)))
    assert (open_alerts(app, plan), open_alerts(app, f"{plan}b")) == (1, 0)


def test_as_many_as_are_answered_at_once_fit_into_one_transaction(app: AppSide, plan: str) -> None:
    """All of them fired, so each has two rows, and Table Storage takes a hundred."""
    storm = [alert(number) for number in range(AT_ONCE)]
    assert keep(app, plan, *storm) == {}
    app.run(alerts.answer(plan, {alert.dedupe_key: STARTED for alert in storm}))
    assert len(keep(app, plan, *storm)) == AT_ONCE
    assert open_alerts(app, plan) == 50


@pytest.mark.parametrize("alert_id", ["/subscriptions/s/providers/x#y?z\\w", "a" * 1000, "é 'or' 1 eq 1"])
def test_an_alerts_id_may_hold_anything(app: AppSide, plan: str, alert_id: str) -> None:
    stored = alert(1).model_copy(update={"alert_id": alert_id})
    keep(app, plan, stored)
    assert open_alerts(app, plan) == 1
    app.run(alerts.close(plan, alert_id))
    assert open_alerts(app, plan) == 0
