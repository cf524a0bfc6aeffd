"""Late orders of a freezing, and a freezing that Azure takes late: nothing stays frozen."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.models.operations import Refusal, Refused, Started
from shared.models.orders import ScriptOrder
from shared.models.runs import Outcome, Phase
from tests.model.front import Front
from tests.model.test_examples import end, started, until_phase


@pytest.mark.parametrize("redelivered", ["record_step", "thaw_replication", "freeze_replication"])
@pytest.mark.parametrize("retried_after", [5, 25, 40, 50])
def test_an_order_of_an_earlier_freezing_that_is_redelivered_late_changes_nothing(
    front: Front, redelivered: str, retried_after: int
) -> None:
    """A drill's first point is refused, the replica is thawed, and the point is retried before the redelivery."""
    drill = started(front.drill())
    front.world.azure.trouble("take_recovery_point", "permanent", 1)
    front.world.engine.befall(redelivered, "echo", 30)
    until_phase(front, drill, Phase.NEEDS_OPERATOR)
    front.world.engine.advance(timedelta(seconds=retried_after))
    assert front.steer(drill, "retry")
    assert end(front, drill) is Outcome.SUCCEEDED
    assert not front.world.replica.frozen


def test_a_freezing_that_azure_takes_after_its_thaw_is_undone(front: Front) -> None:
    """Between the read of the state and the call, the drill gave up and thawed."""
    world = front.world
    drill = started(front.drill())
    freeze, late = world.azure.start_script, []

    def hang(order: ScriptOrder) -> Started | Refused:
        if order.script == "freeze" and not late:
            late.append(order)
            return Refused(refusal=Refusal(kind="permanent", code="Gone", message="The connection broke."))
        return freeze(order)

    world.azure.start_script = hang  # type: ignore[method-assign]
    until_phase(front, drill, Phase.NEEDS_OPERATOR)
    freeze(late[0])
    world.records.mark_frozen_late(late[0].run, late[0].freezing)
    assert front.steer(drill, "abort")
    world.engine.advance(timedelta(minutes=10))
    assert world.replica.frozen
    front.housekeeping()
    assert end(front, drill) is Outcome.ABORTED
    assert not world.replica.frozen
