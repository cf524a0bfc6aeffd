"""For each file of tests: one lab, or the app's functions beside a history of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.api import Api
from tests.lab.app_side import AppSide, with_a_history


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """Housekeeping is off: it reads the state of the replica by Run Command, which a test would see as a write."""
    with Api(None, "housekeeping") as api:
        yield api


@pytest.fixture(scope="module")
def app() -> Iterator[AppSide]:
    """The app's own functions in this process, beside a real history."""
    with with_a_history() as app:
        yield app
