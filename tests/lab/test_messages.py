"""Notifications: each address separately, a broken one is a warning of the plan, and the engine retries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest

from shared.models.errors import NotDeliveredError
from shared.models.orders import Message
from shared.models.plan import RecoveryPlan
from shared.services.announce import UNDELIVERED, deliver, send_test, send_to_subscribers
from shared.store import site_state
from tests.app.api import Api
from tests.lab.app_side import AppSide, with_a_history
from tests.lab.mailbox import SECRET, Mailbox, mailbox
from tests.lab.peer import free_port
from tests.plans import contoso_with
from tests.waiting import LIMIT, wait_until

_NUMBERS = count(1)
KEY_VAULT = "@Microsoft.KeyVault(SecretUri=https://vault.example/secrets/teams)"


@pytest.fixture(scope="module")
def app() -> Iterator[AppSide]:
    with with_a_history() as app:
        app.run(site_state.read_state("first"))  # Creates the table, so that two messages do not race for it.
        yield app


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with mailbox() as box:
        monkeypatch.setenv("MAIL_URL", box.url)
        yield box


@pytest.fixture
def plan() -> RecoveryPlan:
    """Two addresses, and the test's own plan name, whose history no other test writes."""
    both = [{"url_setting": name, "on": ["needs_operator"]} for name in ("TEAMS_URL", "MAIL_URL")]
    return contoso_with({"notify": both}).model_copy(update={"name": f"plan{next(_NUMBERS)}"})


def warnings(app: AppSide, plan: RecoveryPlan) -> dict[str, str]:
    return app.run(site_state.read_state(plan.name)).warnings


def test_a_test_message_goes_to_every_address_and_says_what_became_of_each(
    app: AppSide, plan: RecoveryPlan, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAMS_URL", "no address at all")
    mail, teams = app.run(send_test(plan, "Alice"))
    assert (mail.address, mail.problem, teams.address) == ("MAIL_URL", None, "TEAMS_URL")
    assert "TEAMS_URL" in (teams.problem or "")
    assert box.titles == [f"Test: {plan.title}"]
    state = app.run(site_state.read_state(plan.name))
    assert state.delivered.keys() == {"MAIL_URL"}
    assert state.warnings.keys() == {f"{UNDELIVERED}TEAMS_URL"}


def test_a_message_leads_to_the_page_where_its_address_is_known(
    app: AppSide, plan: RecoveryPlan, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = Message(url_setting="MAIL_URL", title="one", text="more")
    app.run(deliver(plan.name, message))
    monkeypatch.setenv("WEBSITE_HOSTNAME", "coldsite.example")
    app.run(deliver(plan.name, message))
    assert box.texts == ["more", "more\nPage: https://coldsite.example/api/dashboard"]


def test_what_an_address_accepts_is_on_record_once_a_day(app: AppSide, plan: RecoveryPlan, box: Mailbox) -> None:
    """A run sends many messages; each would be a write of the plan's state."""
    for _ in range(2):
        app.run(deliver(plan.name, Message(url_setting="MAIL_URL", title="one", text="more")))
    first = app.run(site_state.read_state(plan.name)).delivered["MAIL_URL"]
    yesterday = first - timedelta(days=1)
    app.run(site_state.change_state(plan.name, lambda _: {"delivered": {"MAIL_URL": yesterday.isoformat()}}))
    app.run(deliver(plan.name, Message(url_setting="MAIL_URL", title="one", text="more")))
    assert app.run(site_state.read_state(plan.name)).delivered["MAIL_URL"] > first


BROKEN = {
    "its Key Vault reference is not resolved": KEY_VAULT,
    "it is missing": "",
    "it is no address": "no address at all",
    "nothing answers there": f"json://127.0.0.1:{free_port()}/{SECRET}",
}


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN)
def test_a_broken_address_does_not_silence_the_others_and_is_a_warning(
    app: AppSide, plan: RecoveryPlan, box: Mailbox, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TEAMS_URL", value)
    assert app.run(send_to_subscribers(plan, "No size is available."))
    ((key, warning),) = warnings(app, plan).items()
    assert box.titles == [f"Action required: {plan.title}"]
    assert key == f"{UNDELIVERED}TEAMS_URL"
    assert warning.startswith("Notifications are not delivered: ")
    assert "TEAMS_URL" in warning
    assert SECRET not in warning


def test_a_warning_about_an_address_goes_when_it_takes_a_message_again(
    app: AppSide, plan: RecoveryPlan, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAMS_URL", KEY_VAULT)
    app.run(send_to_subscribers(plan, "First."))
    assert list(warnings(app, plan)) == [f"{UNDELIVERED}TEAMS_URL"]
    monkeypatch.setenv("TEAMS_URL", box.url)
    assert app.run(send_to_subscribers(plan, "Second."))
    assert warnings(app, plan) == {}
    assert [message["message"].partition("\n")[0] for message in box.messages] == ["First.", "Second.", "Second."]


def test_a_message_that_no_address_took_must_be_told_again(
    app: AppSide, plan: RecoveryPlan, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAMS_URL", KEY_VAULT)
    box.refusals = [503] * 9
    assert not app.run(send_to_subscribers(plan, "No size is available."))
    assert sorted(warnings(app, plan)) == [f"{UNDELIVERED}MAIL_URL", f"{UNDELIVERED}TEAMS_URL"]


def test_a_plan_that_tells_no_person_has_nothing_to_tell_again(app: AppSide, plan: RecoveryPlan) -> None:
    assert app.run(send_to_subscribers(plan.model_copy(update={"notify": []}), "No size is available."))
    assert warnings(app, plan) == {}


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
def test_a_service_that_refuses_is_named_by_its_setting_alone(
    app: AppSide, plan: RecoveryPlan, box: Mailbox, status: int
) -> None:
    box.refusals = [status]
    with pytest.raises(NotDeliveredError) as caught:
        app.run(deliver(plan.name, Message(url_setting="MAIL_URL", title="Title", text="Text")))
    assert str(caught.value) == "The service behind MAIL_URL did not accept the message."
    assert list(warnings(app, plan)) == [f"{UNDELIVERED}MAIL_URL"]


def test_a_message_says_how_to_see_more(
    app: AppSide, plan: RecoveryPlan, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAMS_URL", box.url)
    app.run(send_to_subscribers(plan, "No size is available."))
    assert [message["message"] for message in box.messages] == [
        f"No size is available.\nStatus: coldsite plan show {plan.name}"
    ] * 2


def test_the_engine_tries_a_refused_message_again_and_the_run_goes_on_meanwhile() -> None:
    events = ["started", "finished"]
    both = [{"url_setting": name, "on": events} for name in ("NOTIFY_URL", "TEAMS_URL")]
    with mailbox() as box, Api(contoso_with({"notify": both}), settings={"NOTIFY_URL": box.url}) as api:
        box.refusals = [503, 503]
        with api.started("drill") as run_id:
            wait_until(lambda: box.asked >= 3, LIMIT, "the message is sent again")
            wait_until(lambda: any(run_id in m["message"] for m in box.messages), LIMIT, "it was taken")
        run = api.read(run_id)
        deliveries = {
            s["target"]: s for s in run["steps"] if s["name"] == "notify" and s["target"].startswith("started/")
        }
        plan = api.plan()
    assert run["outcome"] == "aborted"
    first = next(step for target, step in deliveries.items() if "NOTIFY_URL" in target)
    assert (first["status"], first["attempts"]) == ("succeeded", 3)
    assert [w for w in plan["warnings"] if "TEAMS_URL" in w]
    assert not [w for w in plan["warnings"] if "NOTIFY_URL" in w]
