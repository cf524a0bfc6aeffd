"""Crash points and faults of Azure, played in virtual time: every cell of ``make chaos`` can be."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from lab.chaos import faults
from lab.chaos.cells import OUTSIDE_RUNS, WHEN, Cell, matrix_cells, play_cell, uncovered
from lab.chaos.stage import Played
from lab.chaos.stories import STORIES
from lab.chaos.story import PLAN, Story
from lab.options import LabOptions
from lab.twin import Lab
from tests.replay.replay import app_functions
from tests.virtual.lab import VirtualLab
from tests.virtual.loop import VirtualLoop, run


def play(cell: Cell, reference: Played | None = None) -> Played:
    async def main(loop: VirtualLoop) -> Played:
        def make_lab(story: Story, options: LabOptions) -> Lab:
            return VirtualChaosLab(story, options, loop)

        return await play_cell(cell, 1.0, reference, make_lab)

    return run(main)


class VirtualChaosLab(VirtualLab):
    """The lab in virtual time, without some timers."""

    def __init__(self, story: Story, options: LabOptions, loop: VirtualLoop) -> None:
        super().__init__(story.plan(), PLAN, options, loop)
        self._without = story.without

    def settings(self, plans: Path) -> dict[str, str]:
        return super().settings(plans) | {f"AzureWebJobs.{name}.Disabled": "true" for name in self._without}


@cache
def reference(story: str) -> Played:
    return play(Cell("matrix", story))


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("story", STORIES)
def test_every_crash_point_of_a_story_changes_nothing(story: str, when: str) -> None:
    first = reference(story)
    assert first.failures == []
    broken = {
        cell.title: played.failures
        for cell in matrix_cells(STORIES[story], first.activities)
        if cell.when == when and (played := play(cell, first)).failures
    }
    assert broken == {}


def test_every_activity_has_a_crash_point() -> None:
    occurring = {story: reference(story).activities for story in STORIES}
    index = sorted({name for found in occurring.values() for name in found} | set(activities()))
    assert uncovered(index, occurring) == []


def activities() -> list[str]:
    return [
        name
        for name, function in app_functions().items()
        if function.get_trigger().type == "activityTrigger"
        and not name.startswith("BuiltIn__")
        and name not in OUTSIDE_RUNS
    ]


@pytest.mark.parametrize("story", faults.STORIES)
def test_a_fault_of_azure_is_overcome(story: str) -> None:
    assert play(Cell("faults", story)).failures == []
