"""For all tests: how many run side by side, and what is searched for garbage."""

from __future__ import annotations

import gc
import os


def pytest_xdist_auto_num_workers() -> int:
    """Three for two processors: a lab often waits for simulated time."""
    return max(2, (os.cpu_count() or 2) * 3 // 2)


def pytest_collection_finish() -> None:
    """What all tests share is not searched for garbage after each."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Native modules complain of what they would never see freed."""
    gc.unfreeze()
