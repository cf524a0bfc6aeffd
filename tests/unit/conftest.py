"""What the tests of shared/ have in common."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from tests.plans import PLANS

# No deadline, since machines are busy; no database, since it would be stored beside the code.
settings.register_profile("shared", deadline=None, database=None, max_examples=200)
settings.load_profile("shared")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of plans that a test may corrupt."""
    return Path(shutil.copytree(PLANS, tmp_path / "plans"))
