"""Runs in flight survive a deployment: stored histories of every kind of run, replayed against the current
orchestrators.

Record the histories again (``python -m tests.replay.record``, about five minutes) when an orchestrator changed on
purpose and no run of the old code can be in flight, and when a new kind of run is added to ``stories.yaml``. Never
record them again only to remove a failure: the failure shows what a run in flight would meet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.replay.record import load_stories
from tests.replay.replay import ADVICE, Orchestrator, replay, todays_orchestrators
from tests.replay.stored import FOLDER, History, as_text, read

FILES = sorted(FOLDER.glob("*.json"))
OF_A_MACHINE = re.compile(r"/(?:home|root|tmp|work|Users|private|mnt)/|[A-Z]:\\\\Users")


@cache
def histories_of(path: Path) -> list[History]:
    return read(path)


def everything() -> list[History]:
    return [history for path in FILES for history in histories_of(path)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_run_in_flight_would_go_on_as_it_began(path: Path) -> None:
    partings = [replay(h, todays_orchestrators().get(h.orchestrator)) for h in histories_of(path)]
    if found := [str(parting) for parting in partings if parting]:
        pytest.fail("\n\n".join([f"{path.name} does not replay on today's code.", *found, ADVICE]), pytrace=False)


def test_every_orchestrator_has_a_stored_history() -> None:
    """The self-check has none: it belongs to no run, and has ended before the next deployment."""
    assert set(todays_orchestrators()) - {history.orchestrator for history in everything()} == {"selfcheck"}


def test_every_story_was_recorded() -> None:
    assert {path.stem for path in FILES} == set(load_stories())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_holds_nothing_of_the_machine_that_recorded_it(path: Path) -> None:
    assert OF_A_MACHINE.findall(path.read_text(encoding="utf-8")) == []


def test_a_history_is_written_as_it_was_read() -> None:
    text = FILES[0].read_text(encoding="utf-8")
    assert as_text(json.loads(text)["story"], read(FILES[0])) == text


# The check can fail. First changed orchestrators: the current ones with one difference.


class Changed:
    """An orchestrator's context with some methods replaced."""

    def __init__(self, ctx: Any, **replaced: Callable[..., Any]) -> None:
        self._ctx = ctx
        self._replaced = replaced

    def __getattr__(self, name: str) -> Any:
        return self._replaced.get(name) or getattr(self._ctx, name)


def other_input(ctx: Any) -> Changed:
    def call(name: str, *, input: Any, **more: Any) -> Any:
        if name == "record_step":
            input = input | {"changes": input["changes"] | {"new": True}}
        return ctx.call_activity(name, input=input, **more)

    return Changed(ctx, call_activity=call)


def other_activity(ctx: Any) -> Changed:
    def call(name: str, **more: Any) -> Any:
        return ctx.call_activity("verify_page" if name == "verify_site" else name, **more)

    return Changed(ctx, call_activity=call)


def one_more_activity(ctx: Any) -> Changed:
    def call(name: str, **more: Any) -> Any:
        if name == "seal_run":
            ctx.call_activity("count_run", input={})
        return ctx.call_activity(name, **more)

    return Changed(ctx, call_activity=call)


def longer_timer(ctx: Any) -> Changed:
    return Changed(ctx, create_timer=lambda duration: ctx.create_timer(duration + timedelta(seconds=1)))


def other_child(ctx: Any) -> Changed:
    def call(name: str, *, instance_id: str, **more: Any) -> Any:
        return ctx.call_sub_orchestrator(name, instance_id=f"{instance_id}:again", **more)

    return Changed(ctx, call_sub_orchestrator=call)


def other_event(ctx: Any) -> Changed:
    return Changed(ctx, send_event=lambda to, name, *, data: ctx.send_event(to, name, data=data | {"new": True}))


def with_change(change: Callable[[Any], Changed]) -> Orchestrator:
    """The current failover, except for ``change``."""

    def run(ctx: Any, data: Any) -> Any:
        return (yield from todays_orchestrators()["failover"](change(ctx), data))

    return run


def other_result(ctx: Any, data: Any) -> Any:
    result = yield from todays_orchestrators()["failover"](ctx, data)
    return result | {"new": True}


def failing(ctx: Any, data: Any) -> Any:
    yield from todays_orchestrators()["failover"](ctx, data)
    raise RuntimeError("new")


def a_failover() -> History:
    """Read again, so that a test may change it."""
    return next(h for h in read(FOLDER / "failover-by-alert.json") if h.orchestrator == "failover")


@pytest.mark.parametrize(
    ("orchestrator", "words"),
    [
        (with_change(other_input), "input.changes.new: was not there, is true"),
        (with_change(other_activity), "verify_page\n"),
        (with_change(one_more_activity), "count_run"),
        (with_change(longer_timer), "fireAt: was "),
        (with_change(other_child), ":prepared:again"),
        (with_change(other_event), "input.new: was not there, is true"),
        (other_result, "result.new: was not there, is true"),
        (failing, "now:  end failed builtins.RuntimeError: new"),
        (None, "no orchestrator named failover"),
    ],
    ids=["input", "name", "one more", "timer", "child", "event", "result", "failure", "removed"],
)
def test_a_changed_orchestrator_is_caught(orchestrator: Orchestrator | None, words: str) -> None:
    if replay(a_failover(), with_change(Changed)):
        pytest.skip("The history parts from today's code without a change too; its own test says where.")
    parting = replay(a_failover(), orchestrator)
    assert parting is not None
    assert words in f"{parting}\n"


# Then histories that the current code did not produce.


def test_an_activity_that_is_missing_from_the_history_is_caught() -> None:
    history = a_failover()
    history.turns[0].ordered.clear()
    difference = str(replay(history, todays_orchestrators()["failover"]))
    assert "turn 1 of" in difference and "then: nothing\n  now:  activity 1 claim_run" in difference


def test_a_number_that_became_a_truth_is_caught() -> None:
    """In Python 1 equals True and 1.0; in JSON they differ."""
    history = a_failover()
    claim = history.turns[0].ordered[0].taskScheduled
    claim.input.value = json.dumps(json.loads(claim.input.value) | {"attempt": True})
    assert "input.attempt: was true, is 1" in str(replay(history, todays_orchestrators()["failover"]))
