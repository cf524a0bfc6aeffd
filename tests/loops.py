"""An event loop on its own thread, so that tests may call what is served there."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

from tests.waiting import LIMIT


class LoopThread:
    """``complaints`` holds the loop's unhandled errors: exceptions of tasks that were never retrieved."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda _, context: self.complaints.append(_words(context)))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run[T](self, work: Coroutine[Any, Any, T], limit: float = LIMIT) -> T:
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, limit), self._loop).result()

    def call[T](self, function: Callable[[], T]) -> T:
        """For what belongs to the loop's thread, such as a SQLite connection."""

        async def once() -> T:
            return function()

        return self.run(once())

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT)
        self._loop.close()


def collect_quietly() -> None:
    """Collects what a lab left open, so that it does not fail the next test.

    A separate test checks that nothing is left open.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _words(context: dict[str, Any]) -> str:
    return f"{context.get('message')}: {context.get('exception')!r}"
