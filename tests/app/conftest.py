"""One lab for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.api import Api


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """Housekeeping is off: it reads the state of the replica by Run Command, which a test would see as a write."""
    with Api(None, "housekeeping") as api:
        yield api
