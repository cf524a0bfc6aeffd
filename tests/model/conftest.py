"""A model world in its two usual states."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.model.front import Front
from tests.model.plans import model_plan
from tests.model.world import World


@pytest.fixture
def front() -> Front:
    """A quiet night: the primary serves, and the plan fails over automatically."""
    plan = model_plan()
    return Front(World(plan), plan)


@pytest.fixture
def outage(front: Front) -> Front:
    """The primary is down, Traffic Manager has noticed, and no check has run yet."""
    front.world.primary.change(alive=False)
    front.world.engine.advance(timedelta(minutes=1))
    return front
