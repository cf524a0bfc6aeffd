"""Waiting in tests: for a condition and with a deadline, never for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def wait_until[T](predicate: Callable[[], T], timeout: float, what: str) -> T:
    """Returns the first true value of ``predicate``; fails with ``what`` after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (found := predicate()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"After {timeout} s still waiting for this: {what}")
        pause.wait(0.02)
    return found
