"""The actions of a timeline: faults that are set and healed, workers that are lost, writes without an answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.cloud.times import Times
from lab.scenario import ScenarioError
from tests.app.api import Api
from tests.waiting import LIMIT, wait_until


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api(None, watch_tables=True, times=Times(run_command=10)) as api:
        yield api


def worker(api: Api) -> int:
    """The process of the one worker, once it answers."""
    wait_until(lambda: api.get("/api/plans").status == 200, LIMIT, "a worker answers")
    return api.on_loop(lambda: api.lab.functions.workers[0].pid)


@pytest.mark.parametrize("operation", ["PUT virtualMachine", "virtualMachines", "PATCH disks", "PUT  disks", ""])
def test_a_fault_of_an_operation_that_there_is_not_is_refused_with_those_that_are(api: Api, operation: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        api.perform("arm.fault", operation=operation, error="500")
    assert f"operation {operation!r} is not one of " in str(caught.value)
    for known in ("PUT virtualmachines", "DELETE disks", "POST runcommand", "PATCH externalendpoints", "GET events"):
        assert known in str(caught.value)


@pytest.mark.parametrize("operation", ["PUT virtualMachines", "put VIRTUALMACHINES", "PATCH endpoints", "GET events"])
def test_a_fault_of_an_operation_that_there_is_happens_until_it_is_healed(api: Api, operation: str) -> None:
    method, word = operation.split()
    take = lambda: api.lab.arm.faults.take(method.upper(), {word.lower()}, None)  # noqa: E731
    api.perform("arm.fault", operation=operation, error="500", times=3)
    assert api.on_loop(take) is not None
    api.perform("arm.heal")
    assert api.on_loop(take) is None


def test_workers_that_are_lost_for_a_time_are_missing_and_come_back(api: Api) -> None:
    before = worker(api)
    api.perform("worker.kill", **{"when": "now", "for": "60s"})
    assert wait_until(lambda: api.get("/api/plans").status == 502, LIMIT, "nobody answers")
    away_until = api.on_loop(lambda: api.lab.functions._away_until)
    after = worker(api)
    back_at = api.on_loop(lambda: api._loop._loop.time())
    assert after != before
    assert back_at >= away_until


@pytest.mark.parametrize("write", ["history", None])
def test_a_worker_that_dies_between_a_write_to_the_history_and_its_answer_leaves_the_write(
    api: Api, write: str | None
) -> None:
    """Sealing writes the run's end first; another worker then finds it written, and continues."""
    before = worker(api)
    aim = {"write": write} if write else {}
    with api.started("drill") as run_id:
        api.perform("worker.kill", when="during:seal_run", **aim)
        api.post(f"/api/runs/{run_id}/abort")
        wait_until(lambda: worker(api) != before, LIMIT, "the worker has died")
        run = api.finished(run_id)
    (sealing,) = [step for step in run["steps"] if step["name"] == "seal_run"]
    assert (run["outcome"], sealing["attempts"]) == ("aborted", 2)
    assert api.history_intact()


def test_a_write_to_azure_does_not_kill_the_worker_that_dies_by_the_history(api: Api) -> None:
    strike = api.lab.functions.dispatcher.strike
    assert api.on_loop(lambda: (strike("azure"), strike("history"))) == (False, False)
