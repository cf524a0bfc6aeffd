"""Every scenario file, played in virtual time by the app's own orchestrators, activities, services and triggers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.virtual.play import SCENARIOS, played


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_holds(path: Path) -> None:
    report = played(path)
    assert report["passed"], "\n".join(report["failures"])
