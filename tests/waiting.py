"""Waiting in tests: for a condition and with a deadline, never for a time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

LIMIT = 120.0
"""Real seconds until a test gives up waiting. Even a busy machine is faster; only a fault takes this long."""


def wait_until[T](predicate: Callable[[], T], timeout: float, what: str) -> T:
    """Returns the first true value of ``predicate``; fails with ``what`` after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (found := predicate()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"After {timeout} s still waiting for this: {what}")
        pause.wait(0.02)
    return found


async def until(predicate: Callable[[], bool], timeout: float, what: str) -> None:
    """``wait_until`` for coroutines: the loop keeps running."""
    deadline = time.monotonic() + timeout
    pause = asyncio.Event()
    while not predicate():
        if time.monotonic() >= deadline:
            raise AssertionError(f"After {timeout} s still waiting for this: {what}")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(pause.wait(), 0.02)
