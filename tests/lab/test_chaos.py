"""A slice of `make chaos` in the lab, and that the list of crash points matches the app. All of it: tests/virtual."""

from __future__ import annotations

from functools import cache

import pytest

from lab.chaos import faults, random_stories
from lab.chaos.cells import Cell, app_activities, run_cell, uncovered
from lab.chaos.stage import Played
from lab.chaos.stories import STORIES
from lab.chaos.world import differences

SPEED = 40.0
SEED = 3

CRASHES = [("failover", "create_machine", "during-azure"), ("drill", "release_run", "before")]
FAULTS = ["half-a-cutover"]


@cache
def activities() -> list[str]:
    return app_activities()


@cache
def reference(story: str) -> Played:
    return run_cell(Cell("matrix", story), SPEED)


@pytest.mark.parametrize(("story", "activity", "when"), CRASHES)
def test_a_crash_changes_nothing(story: str, activity: str, when: str) -> None:
    assert reference(story).failures == []
    assert run_cell(Cell("matrix", story, activity, when), SPEED, reference(story)).failures == []


@pytest.mark.parametrize("story", FAULTS)
def test_a_fault_of_azure_is_overcome(story: str) -> None:
    assert run_cell(Cell("faults", story), SPEED).failures == []


@pytest.mark.parametrize("number", [4])
def test_the_invariants_hold_on_a_bad_day(number: int) -> None:
    played = run_cell(Cell("random", "", seed=SEED, number=number, activities=tuple(activities())), SPEED)
    assert played.failures == []


def test_an_activity_that_no_story_reaches_fails_the_matrix() -> None:
    index = activities()
    everything = {name: {activity: ["azure", "history"] for activity in index} for name in STORIES}
    assert "create_machine" in index
    assert uncovered(index, everything) == []
    problems = uncovered([*index, "brew_coffee"], everything)
    assert len(problems) == 1
    assert "brew_coffee occurs in no story" in problems[0]


def test_a_story_that_no_longer_reaches_its_activity_fails_the_matrix() -> None:
    index = activities()
    occurring = {name: {activity: ["azure"] for activity in index} for name in STORIES}
    del occurring["older-set"]["find_recovery_points"]
    assert uncovered(index, occurring) == [
        "The story older-set names find_recovery_points in crash_in, but it does not occur in it."
    ]


def test_a_difference_is_told_with_both_sides() -> None:
    found = differences({"runs": {"drill failed": 1}, "frozen": True}, {"runs": {"drill succeeded": 1}, "frozen": True})
    assert found == [
        "runs: drill failed: nothing without the crash, 1 with it",
        "runs: drill succeeded: 1 without the crash, nothing with it",
    ]


def test_every_story_speaks_the_language_of_scenarios() -> None:
    for story in [*STORIES.values(), *faults.STORIES.values()]:
        assert story.scenario().timeline
        assert all(story.events(chapter) for chapter in story.chapters)
        assert story.plan().name == "contoso"


def test_a_seed_always_tells_the_same_stories() -> None:
    names = ["claim_run", "create_machine", "seal_run"]
    stories = [random_stories.tell(1, number, names) for number in range(200)]
    assert stories == [random_stories.tell(1, number, names) for number in range(200)]
    assert len({repr(story.timeline) for story in stories}) == 200
    assert all(story.scenario().timeline for story in stories)
