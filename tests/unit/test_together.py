"""Requests that arrive together are answered together, and no caller waits for an answer that never comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from shared.services.batching import Batcher
from tests.waiting import LIMIT, until


class OutOfOrderError(Exception):
    """The error raised by the work in these tests."""


class Counter:
    """Answers a number with its double. The work starts at once and ends when ``open`` is set."""

    def __init__(self, most: int = 10) -> None:
        self.batches: list[list[int]] = []
        self.ended = 0
        self.open = asyncio.Event()
        self.fails: Callable[[list[int]], bool] = lambda _: False
        self.together = Batcher(self.work, most)

    async def work(self, questions: list[int]) -> list[int]:
        self.batches.append(questions)
        await self.open.wait()
        self.ended += 1
        if self.fails(questions):
            raise OutOfOrderError(str(questions))
        return [2 * question for question in questions]

    async def ask(self, *questions: int) -> list[asyncio.Task[int]]:
        """Asks, and returns when the requests wait; the very first one is processed at once."""
        tasks = [asyncio.create_task(self.together.ask(question)) for question in questions]
        await asyncio.sleep(0)  # their first turn
        await until(lambda: bool(self.batches), LIMIT, "the work to begin")
        return tasks


def test_what_arrives_while_one_is_worked_on_is_answered_as_one() -> None:
    async def story() -> None:
        counter = Counter()
        (first,) = await counter.ask(1)
        later = await counter.ask(2, 3, 4)
        counter.open.set()
        assert await first == 2
        assert await asyncio.gather(*later) == [4, 6, 8]
        assert counter.batches == [[1], [2, 3, 4]]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("most", "batches"),
    [
        (1, [[0], [1], [2], [3], [4], [5]]),
        (2, [[0], [1, 2], [3, 4], [5]]),
        (5, [[0], [1, 2, 3, 4, 5]]),
        (99, [[0], [1, 2, 3, 4, 5]]),
    ],
)
def test_a_batch_holds_so_many_at_most_and_keeps_their_order(most: int, batches: list[list[int]]) -> None:
    async def story() -> None:
        counter = Counter(most)
        tasks = await counter.ask(0) + await counter.ask(1, 2, 3, 4, 5)
        counter.open.set()
        assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8, 10]
        assert counter.batches == batches

    asyncio.run(story())


def test_a_thousand_at_once_cost_little_more_than_one() -> None:
    async def story() -> None:
        counter = Counter(most=50)
        counter.open.set()
        answers = await asyncio.gather(*(counter.together.ask(number) for number in range(1000)))
        assert answers == [2 * number for number in range(1000)]
        assert len(counter.batches) == 1000 / 50

    asyncio.run(story())


def test_an_error_reaches_everybody_who_asked_and_not_the_next_batch() -> None:
    async def story() -> None:
        counter = Counter(most=2)
        counter.fails = lambda questions: 2 in questions
        tasks = await counter.ask(1) + await counter.ask(2, 3, 4)
        counter.open.set()
        first, *failed, last = await asyncio.gather(*tasks, return_exceptions=True)
        assert (first, last) == (2, 8)
        assert [str(error) for error in failed] == ["[2, 3]", "[2, 3]"]
        assert {type(error) for error in failed} == {OutOfOrderError}
        assert await counter.together.ask(5) == 10

    asyncio.run(story())


def test_whoever_gave_up_while_waiting_is_not_worked_for_and_disturbs_no_other_caller() -> None:
    async def story() -> None:
        counter = Counter()
        first, *later = await counter.ask(1) + await counter.ask(2, 3)
        later[0].cancel()
        await asyncio.gather(later[0], return_exceptions=True)
        counter.open.set()
        assert (await first, await later[1]) == (2, 6)
        assert counter.batches == [[1], [3]]

    asyncio.run(story())


def test_whoever_gives_up_while_being_served_stops_no_other_caller() -> None:
    """The work continues: it may have been recorded already."""

    async def story() -> None:
        counter = Counter()
        (first,) = await counter.ask(1)
        later = await counter.ask(2, 3)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        counter.open.set()
        assert await asyncio.gather(*later) == [4, 6]
        assert (counter.batches, counter.ended) == ([[1], [2, 3]], 2)

    asyncio.run(story())


@pytest.mark.parametrize("fails", [False, True])
def test_when_everybody_gave_up_the_next_one_is_answered(fails: bool) -> None:
    async def story() -> None:
        counter = Counter()
        counter.fails = lambda questions: fails and 9 not in questions
        tasks = await counter.ask(1) + await counter.ask(2, 3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        counter.open.set()
        assert await counter.together.ask(9) == 18

    asyncio.run(story())


def test_a_time_limit_of_the_asker_does_not_hold_up_the_work() -> None:
    async def story() -> None:
        counter = Counter()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(counter.together.ask(1), 0.01)
        counter.open.set()
        assert await counter.together.ask(2) == 4
        assert counter.batches == [[1], [2]]

    asyncio.run(story())


def test_work_that_hangs_is_given_up_and_the_next_is_answered() -> None:
    async def story() -> None:
        counter = Counter()
        counter.together = Batcher(counter.work, 10, seconds=0.02)
        tasks = await counter.ask(1)
        hung = await asyncio.gather(*tasks, return_exceptions=True)
        counter.open.set()
        assert [type(error) for error in hung] == [TimeoutError]
        assert await counter.together.ask(2) == 4

    asyncio.run(story())


def test_it_serves_one_event_loop_after_another() -> None:
    """The second loop finds no state of the first, which ended during the work."""
    batches: list[list[str]] = []
    blocked = "blocked"

    async def work(questions: list[str]) -> list[str]:
        batches.append(questions)
        if blocked in questions:
            await asyncio.Event().wait()
        return [question.upper() for question in questions]

    together = Batcher(work, 10)

    async def cut_off() -> None:
        asyncio.create_task(together.ask(blocked))
        asyncio.create_task(together.ask("never asked"))
        await until(lambda: bool(batches), LIMIT, "the work to begin")

    assert asyncio.run(together.ask("one")) == "ONE"
    asyncio.run(cut_off())
    assert asyncio.run(asyncio.wait_for(together.ask("two"), LIMIT)) == "TWO"
    assert batches[0] == ["one"]
    assert batches[-1] == ["two"]
