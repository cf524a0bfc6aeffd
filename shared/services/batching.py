"""Concurrent requests are answered in batches, so that a storm costs little more than one request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Batcher[Q, A]:
    """Gathers the questions that arrive during earlier work, and works on them as one batch.

    ``work`` takes up to ``most`` questions and returns one answer for each, in their order; its exception is raised for
    every one of them, and so is ``TimeoutError`` after ``seconds``: a hanging batch must not block the next.
    """

    def __init__(self, work: Callable[[list[Q]], Awaitable[list[A]]], most: int, seconds: float = 10.0) -> None:
        self._work = work
        self._most = most
        self._seconds = seconds
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._serving: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """The answer, after those of earlier questions."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[A] = loop.create_future()
        self._waiting.append((question, future))
        if self._serving is None or self._serving.done() or self._serving.get_loop() is not loop:
            self._serving = asyncio.create_task(self._serve())
        return await future

    async def _serve(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            open_ones = [(question, future) for question, future in batch if not future.done()]
            try:
                async with asyncio.timeout(self._seconds):
                    answers = await self._work([question for question, _ in open_ones]) if open_ones else []
            except Exception as error:  # noqa: BLE001 (the caller must receive it)
                for _, future in open_ones:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), given in zip(open_ones, answers, strict=True):
                if not future.done():
                    future.set_result(given)
