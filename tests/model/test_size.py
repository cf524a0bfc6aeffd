"""Fifty workloads in one plan: the engine's record of the run stays far below the message limit of its clients."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from shared.models.plan import RecoveryPlan
from shared.models.runs import Outcome
from tests.model.front import Front
from tests.model.plans import model_plan
from tests.model.test_examples import end, started
from tests.model.world import World

WORKLOADS = 50
LARGEST_MESSAGE = 4 * 1024 * 1024
"""``maxGrpcMessageSizeInBytes`` of the client binding. Source: Azure/azure-functions-durable-extension 3.19.0."""


def many() -> RecoveryPlan:
    """Contoso's SQL Server fifty times, each with interfaces, addresses and disks of its own."""
    plan = model_plan().model_dump(mode="json")
    pattern = json.dumps(plan["recovery"]["workloads"]["sql"])

    def workload(number: int) -> Any:
        text = pattern.replace("sql-failover", f"n{number}-failover").replace("sql-drill", f"n{number}-drill")
        text = text.replace("dt-sql", f"dt-n{number}").replace("10.20.1.5", f"10.20.2.{number}")
        return json.loads(text.replace("10.21.1.5", f"10.21.2.{number}"))

    plan["recovery"]["workloads"] = {f"n{number}": workload(number) for number in range(1, WORKLOADS + 1)}
    return RecoveryPlan.model_validate(plan)


def test_a_failover_of_fifty_workloads_fits_into_what_a_client_may_receive() -> None:
    plan = many()
    front = Front(World(plan), plan)
    front.world.primary.change(alive=False)
    front.world.engine.advance(timedelta(minutes=1))
    run_id = started(front.watch())
    assert end(front, run_id) is Outcome.SUCCEEDED
    for instance in front.world.engine.instances.values():
        messages = [event.ByteSize() for event in instance.history]
        assert max(messages) < LARGEST_MESSAGE / 8, instance.id
        assert sum(messages) < LARGEST_MESSAGE, instance.id
    state = front.world.records.runs[run_id].model_dump_json()
    assert len(state) < 60_000
