"""For all tests: how many run side by side."""

from __future__ import annotations

import os


def pytest_xdist_auto_num_workers() -> int:
    """Three for two processors: a lab waits for simulated time for a third of its real time."""
    return max(2, (os.cpu_count() or 2) * 3 // 2)
