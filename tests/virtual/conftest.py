"""Scenarios in virtual time import the app once; what they make is forgotten whole when they end."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def _imported() -> None:
    """What every scenario shares is not searched for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _one_collection(_imported: None) -> Iterator[None]:
    """Collecting garbage in between costs a tenth of the time, and every scenario's world goes at its end."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()
