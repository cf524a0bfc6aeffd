"""The first screen: where customers are sent, the newest check, open questions, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.show import moment
from tests.lab.screens import NOW, RUN, Coldsite, coldsite, look, plan, waiting

MARKUP = "[/subscriptions/s] was [red]refused[/red] [bold"
FAR = NOW + timedelta(days=3)


@pytest.fixture(scope="module")
def site() -> Iterator[Coldsite]:
    with coldsite() as site:
        yield site


def spoken(at: datetime) -> str:
    return moment(at.isoformat())


# A dark site


DARK: dict[str, dict[str, Any]] = {
    "no run": {},
    "after a false alarm": {"next_look_not_before": NOW + timedelta(minutes=8)},
    "with an open alert": {"open_alerts": 1},
    "paused": {"paused_until": FAR, "pause_reason": "Patches"},
    "observed only": {"mode": "observe"},
    "approve": {"mode": "approve"},
    "never drilled": {"last_good_drill": None},
    "with a warning": {"warnings": ["Recovery points fail."]},
}


@pytest.mark.parametrize("says", ["down", "unclear"])
@pytest.mark.parametrize("changes", DARK.values(), ids=DARK)
def test_a_dark_site_is_the_first_thing_said_and_no_drill_is_recommended(
    site: Coldsite, changes: dict[str, Any], says: str
) -> None:
    screen = site.overview(plan(newest_look=look(says), **changes))
    assert "customers are sent to the primary site" in screen
    assert "served" not in screen
    seen = {"down": "does not answer", "unclear": "gives no clear answer"}[says]
    since = spoken(NOW - timedelta(minutes=10))
    assert f"The primary site {seen} since {since} (newest check {spoken(NOW)})" in screen
    following = screen.partition("Next: ")[2]
    assert "`coldsite check contoso` checks it now" in following
    moves = "`coldsite failover contoso --reason WHY` fails over to Azure"
    assert (moves in following) is (says == "down")
    assert "drill" not in following


def test_an_alert_that_is_open_asks_for_a_look_although_the_newest_one_was_good(site: Coldsite) -> None:
    screen = site.overview(plan(open_alerts=2))
    assert "2 open alerts" in screen
    assert "`coldsite check contoso` checks it now" in screen
    assert "drill" not in screen


def test_a_pause_is_named_with_how_to_end_it(site: Coldsite) -> None:
    screen = site.overview(plan(newest_look=look("down"), paused_until=FAR, pause_reason="Patches"))
    assert f"automatic failover is paused until {spoken(FAR)}" in screen
    assert "`coldsite pause contoso --for 0s --reason WHY` ends the pause" in screen


def test_a_plan_that_only_observes_says_so(site: Coldsite) -> None:
    screen = site.overview(plan(newest_look=look("down"), mode="observe"))
    assert "; mode observe" in screen
    assert "starts no failover by itself" in screen


def test_a_look_that_is_postponed_says_until_when_and_what_ends_it(site: Coldsite) -> None:
    screen = site.overview(plan(next_look_not_before=FAR))
    assert f"Next check at {spoken(FAR)}, or as soon as another signal fails" in screen


def test_a_site_that_answers_says_when_it_was_seen(site: Coldsite) -> None:
    screen = site.overview(plan())
    assert f"The primary site answers (newest check {spoken(NOW)})" in screen
    assert "since" not in screen
    assert screen.endswith("No action required.")


def test_an_observer_that_is_cut_off_says_that_it_cannot_see(site: Coldsite) -> None:
    assert "The primary site cannot be seen since" in site.overview(plan(newest_look=look("blind")))


# A run


@pytest.mark.parametrize(
    ("phase", "answers", "commands"),
    [
        ("waiting_for_approval", ("approve", "reject"), f"coldsite approve {RUN}` or `coldsite reject {RUN}"),
        ("needs_operator", ("proceed", "abort"), f"coldsite proceed {RUN}` or `coldsite abort {RUN}"),
        ("needs_operator", ("retry", "abort"), f"coldsite retry {RUN}` or `coldsite abort {RUN}"),
        ("needs_operator", (), f"coldsite retry {RUN}"),
    ],
)
def test_a_question_is_shown_with_its_end_and_the_commands_that_answer_it(
    site: Coldsite, phase: str, answers: tuple[str, ...], commands: str
) -> None:
    run = waiting(phase, "The primary site serves again. Move its customers?", answers, waiting_until=FAR)
    screen = site.overview(plan(run=run, newest_look=look("down")))
    assert f"Waiting for you (until {spoken(FAR)}): The primary site serves again. Move its customers?" in screen
    assert f"Next: `{commands}`. `coldsite runs show {RUN}` shows the run." in screen


def test_a_question_without_an_end_names_none(site: Coldsite) -> None:
    screen = site.overview(plan(run=waiting("needs_operator", "No size is available.")))
    assert "Waiting for you: No size is available." in screen
    assert "until" not in screen


def test_a_run_that_needs_no_answer_is_followed(site: Coldsite) -> None:
    screen = site.overview(plan(run=waiting("recovering"), newest_look=look("down")))
    assert f"Failover {RUN}: building the machines" in screen
    assert screen.endswith(f"Next: follow it with `coldsite runs watch {RUN}`.")


def test_customers_in_azure_are_told_where_the_way_back_is_written(site: Coldsite) -> None:
    screen = site.overview(plan(active_site="recovery", primary_latched=True, newest_look=look("down")))
    assert "customers are sent to Azure, locked to Azure" in screen
    assert "`coldsite failback contoso --reason WHY` brings customers home (docs/failback.md)" in screen


# Drills


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (None, "no drill has succeeded yet; `coldsite drill contoso` runs one."),
        (
            datetime(2024, 1, 2, tzinfo=UTC),
            "the last successful drill was on 2024-01-02; `coldsite drill contoso` runs one.",
        ),
        (NOW - timedelta(days=101), "`coldsite drill contoso` runs one."),
    ],
)
def test_a_drill_is_recommended_by_the_age_of_the_last_good_one(
    site: Coldsite, last: datetime | None, words: str
) -> None:
    assert site.overview(plan(last_good_drill=last)).endswith(words)


@pytest.mark.parametrize("days", [0, 99])
def test_a_fresh_drill_is_not_forgotten_behind_other_runs(site: Coldsite, days: int) -> None:
    """Five later aborted runs used to hide it."""
    aborted = {"run_id": RUN, "kind": "failover", "phase": "completed", "outcome": "aborted", "trigger": "operator"}
    aborted |= {"started_at": NOW.isoformat(), "recovery_time_actual": None}
    screen = site.overview(plan(last_good_drill=NOW - timedelta(days=days)), runs=[aborted] * 5)
    assert screen.endswith("No action required.")


def test_one_plans_drill_does_not_hide_anothers(site: Coldsite) -> None:
    assert "`coldsite drill other`" in site.overview(plan(), plan(name="other", title="Other", last_good_drill=None))


def test_no_plan_at_all_is_told_how_to_begin(site: Coldsite) -> None:
    screen = site.overview()
    assert "`coldsite plan init NAME` writes one" in screen
    assert "drill" not in screen


# Several plans


@pytest.mark.parametrize("first", ["quiet", "dark"])
def test_the_dark_plan_comes_before_the_one_that_lacks_a_drill(site: Coldsite, first: str) -> None:
    both = [plan(last_good_drill=None), plan(name="other", title="Other", newest_look=look("down"))]
    screen = site.overview(*(both if first == "quiet" else both[::-1]))
    assert "Next: `coldsite check other` checks it now" in screen


def test_a_question_comes_before_a_warning_of_another_plan(site: Coldsite) -> None:
    asks = plan(name="other", title="Other", run=waiting("needs_operator", "Which?"))
    assert f"Next: `coldsite retry {RUN}`" in site.overview(plan(warnings=["Replication has stopped."]), asks)


# Third-party text


@pytest.mark.parametrize("place", ["warning", "question", "title"])
def test_markup_in_the_words_of_others_is_printed_as_it_is(site: Coldsite, place: str) -> None:
    changes: dict[str, Any] = {
        "warning": {"warnings": [MARKUP]},
        "question": {"run": waiting("needs_operator", MARKUP)},
        "title": {"title": MARKUP},
    }[place]
    assert MARKUP in site.overview(plan(**changes))
