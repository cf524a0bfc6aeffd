"""One lab for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functions.api import Api


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api() as api:
        yield api
