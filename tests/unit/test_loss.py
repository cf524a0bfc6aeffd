"""The age of data to which customers may be moved without a question."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.policy.loss import commit_question, loss_question
from tests.plans import REMOVED, contoso_with

OUTAGE = datetime(2027, 1, 15, 20, 0, tzinfo=UTC)
LIMIT = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def test_data_whose_age_is_not_known_are_a_reason_to_ask() -> None:
    assert loss_question(None, OUTAGE, LIMIT) == (
        "The age of Azure's data is unknown: replication has never been seen healthy."
    )


@pytest.mark.parametrize(
    ("age", "asks"),
    [
        pytest.param(timedelta(0), False, id="as new as the outage"),
        pytest.param(LIMIT - SECOND, False, id="younger than the limit"),
        pytest.param(LIMIT, False, id="exactly the limit"),
        pytest.param(LIMIT + SECOND, True, id="older than the limit"),
        pytest.param(-LIMIT, False, id="replication outlived the first sign of the outage"),
    ],
)
def test_data_are_too_old_beyond_the_limit_only(age: timedelta, asks: bool) -> None:
    assert (loss_question(OUTAGE - age, OUTAGE, LIMIT) is not None) is asks


def test_the_question_names_the_moment_the_loss_and_the_limit() -> None:
    sentence = loss_question(OUTAGE - timedelta(hours=3), OUTAGE, LIMIT)
    assert sentence == (
        "Azure's data are from 2027-01-15 17:00 UTC, 3 h before the outage. "
        "Everything since then would be lost; the plan's loss_limit is 1 h."
    )


def test_a_long_wait_after_the_outage_makes_no_data_older() -> None:
    """The age counts at the start of the outage: since then nothing could be replicated, and nothing more is lost."""
    assert loss_question(OUTAGE - LIMIT, OUTAGE, LIMIT) is None


def commits(**minutes: float | None) -> dict[str, datetime]:
    """Each database's newest commit, in minutes after the outage; None for one that could not be measured."""
    return {name: OUTAGE + timedelta(minutes=at) for name, at in minutes.items() if at is not None}


@pytest.mark.parametrize(
    ("recovered", "home", "asks"),
    [
        pytest.param(-300, -300, False, id="a quiet shop has no new commits and loses none"),
        pytest.param(-300, -230, True, id="home had a newer one"),
        pytest.param(-60, 0, False, id="within the limit"),
        pytest.param(-61, 0, True, id="beyond the limit"),
        pytest.param(-30, 600, False, id="what home took after the outage began does not count"),
        pytest.param(-61, 600, True, id="what home took before it does"),
        pytest.param(0, -90, False, id="Azure's is newer than what was seen at home"),
        pytest.param(None, 0, False, id="nothing was measured in Azure"),
        pytest.param(-300, None, False, id="nothing was ever read at home"),
    ],
)
def test_what_was_recovered_is_compared_with_what_home_had(
    recovered: float | None, home: float | None, asks: bool
) -> None:
    assert (commit_question(commits(orders=recovered), commits(orders=home), OUTAGE, LIMIT) is not None) is asks


def test_the_question_about_commits_names_both_and_the_least_that_is_lost() -> None:
    sentence = commit_question(commits(orders=-300), commits(orders=-120), OUTAGE, LIMIT)
    assert sentence is not None
    for part in (
        "database orders",
        "2027-01-15 15:00 UTC",
        "2027-01-15 18:00 UTC",
        "At least 3 h",
        "loss_limit is 1 h",
    ):
        assert part in sentence


def test_of_several_databases_each_is_compared_with_itself_and_the_worst_is_named() -> None:
    home = commits(orders=-1, stock=-1, archive=-5000)
    assert commit_question(commits(orders=-2, stock=-30, archive=-5000), home, OUTAGE, LIMIT) is None
    sentence = commit_question(commits(orders=-2, stock=-300, archive=-5090), home, OUTAGE, LIMIT)
    assert sentence is not None
    assert "database stock is from 2027-01-15 15:00 UTC" in sentence


def test_a_database_that_was_measured_on_one_side_only_is_no_reason_to_ask() -> None:
    assert commit_question(commits(orders=-300), commits(stock=0), OUTAGE, LIMIT) is None


def test_without_a_limit_of_its_own_a_plan_has_four_times_its_objective() -> None:
    plan = contoso_with({"detection.loss_limit": REMOVED, "objectives.recovery_point": "10m"})
    assert plan.loss_limit == timedelta(minutes=40)
    assert contoso_with({"detection.loss_limit": "2h"}).loss_limit == timedelta(hours=2)
