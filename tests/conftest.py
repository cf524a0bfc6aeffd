"""For all tests: how many run side by side."""

from __future__ import annotations

import os


def pytest_xdist_auto_num_workers() -> int:
    """Three for two processors: a lab often waits for simulated time."""
    return max(2, (os.cpu_count() or 2) * 3 // 2)
