"""Deleting a run's resources, and only those: against the lab's Azure with the app's identity and its SDK clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab.cloud.faults import Fault
from shared.azure.cleanup import clean_up, holder_of, standing
from shared.models import ids
from shared.models.orders import CleanUpOrder, Holder
from shared.models.steps import RunRef
from tests.lab.app_side import AppSide, as_the_app
from tests.lab.azure import (
    DISKS,
    LIMIT,
    MACHINES,
    NIC,
    OTHER_NIC,
    RECOVERY,
    SOURCE,
    compute,
    copy_of,
    machine_from,
    simulated,
)
from tests.waiting import wait_until

PLAN = "contoso"
RUN = "contoso-d20270115203000000-abcd"
OTHER = "contoso-f20270115213000000-ef01"
REF = RunRef(run_id=RUN, plan=PLAN, epoch=1)


@pytest.fixture
def app() -> Iterator[AppSide]:
    with simulated() as azure, as_the_app(azure) as app:
        yield app


def tags(run_id: str, workload: str = "sql", plan: str = PLAN) -> dict[str, str]:
    return {ids.TAG_RUN: run_id, ids.TAG_PLAN: plan, ids.TAG_WORKLOAD: workload}


def put(app: AppSide, kind: str, name: str, body: dict[str, Any], marks: dict[str, str] | None = None) -> str:
    """Creates a resource in the recovery group, waits until Azure has finished it, and returns its id."""
    path = compute(kind, name)
    version = MACHINES if kind == "virtualMachines" else DISKS
    app.azure.finished(app.azure.ask("PUT", path, version, body | {"tags": marks or {}}))
    return path


def snapshot(app: AppSide, name: str, marks: dict[str, str] | None = None) -> str:
    return put(app, "snapshots", name, copy_of(SOURCE), marks)


def disk(app: AppSide, name: str, marks: dict[str, str] | None = None) -> str:
    point = compute("snapshots", "origin")
    if point.lower() not in app.azure.compute.resources:
        snapshot(app, "origin")
    return put(app, "disks", name, copy_of(point), marks)


def machine(
    app: AppSide, name: str, os: str, *data: str, nic: str = NIC, marks: dict[str, str] | None = None, **more: Any
) -> str:
    return put(app, "virtualMachines", name, machine_from(os, nic, data=data, **more), marks)


def built(app: AppSide, run_id: str = RUN, workload: str = "sql", nic: str = NIC) -> dict[str, str]:
    """A run's resources for one workload, by kind."""
    marks = tags(run_id, workload)
    point = snapshot(app, ids.snapshot_name(ids.set_id(run_id, 1), workload, "os"), marks)
    os = put(app, "disks", ids.disk_name(run_id, workload, "os"), copy_of(point), marks)
    made = machine(app, ids.machine_name(run_id, workload), os, nic=nic, marks=marks)
    return {"virtualMachines": made, "disks": os, "snapshots": point}


def there(app: AppSide) -> set[str]:
    """Every resource of the recovery group, in lower case."""
    return {key for key in app.azure.compute.resources if key.startswith(RECOVERY.lower())}


def lower(*paths: str) -> set[str]:
    return {path.lower() for path in paths}


def cleaned(app: AppSide, **order: Any) -> None:
    """Repeats the cleanup, as a run does, until nothing is left."""
    wanted = CleanUpOrder(run=REF, group=RECOVERY, **order)
    wait_until(lambda: not app.run(clean_up(wanted)).left, LIMIT, "nothing is left")


# Holders of what another run needs


@pytest.mark.parametrize("wanted", ["nic", "os", "data"])
@pytest.mark.parametrize("spelling", [str, str.upper])
def test_the_machine_of_another_run_that_has_what_is_needed_is_found(app: AppSide, wanted: str, spelling: Any) -> None:
    os, data = disk(app, "os"), disk(app, "data")
    machine(app, "sql-old", os, data, marks=tags(OTHER))
    nic = spelling(NIC if wanted == "nic" else OTHER_NIC)
    disks = [spelling({"os": os, "data": data}[wanted])] if wanted != "nic" else []
    found = app.run(holder_of(RECOVERY, RUN, nic, disks))
    assert found == Holder(machine="sql-old", run_id=OTHER)


@pytest.mark.parametrize(
    "marks",
    [
        pytest.param({}, id="a stranger's"),
        pytest.param({"coldsite": "yes"}, id="a stranger's with a tag"),
        pytest.param({ids.TAG_PLAN: PLAN}, id="without a run"),
        pytest.param({ids.TAG_RUN: ""}, id="with an empty run"),
        pytest.param(tags(RUN), id="the run's own"),
    ],
)
def test_a_machine_that_is_no_other_runs_is_not_named(app: AppSide, marks: dict[str, str]) -> None:
    os = disk(app, "os")
    machine(app, "sql", os, marks=marks)
    assert app.run(holder_of(RECOVERY, RUN, NIC, [os])) is None


def test_a_machine_of_another_run_that_has_something_else_is_left_out(app: AppSide) -> None:
    machine(app, "sql-old", disk(app, "os"), nic=OTHER_NIC, marks=tags(OTHER))
    assert app.run(holder_of(RECOVERY, RUN, NIC, [disk(app, "free")])) is None


def test_the_holder_is_found_beside_a_strangers_machine(app: AppSide) -> None:
    machine(app, "a-stranger", disk(app, "theirs"), nic=OTHER_NIC)
    os = disk(app, "os")
    machine(app, "sql-old", os, marks=tags(OTHER))
    assert app.run(holder_of(RECOVERY, RUN, OTHER_NIC, [os])) == Holder(machine="sql-old", run_id=OTHER)


# Existing resources


def test_what_stands_is_told_by_run_and_kind(app: AppSide) -> None:
    built(app)
    snapshot(app, "kept", tags(OTHER))
    snapshot(app, "of-another-plan", tags("other-f20270115213000000-ef01", plan="other"))
    snapshot(app, "of-the-timer", {ids.TAG_PLAN: PLAN, ids.TAG_SET: "point-20270115"})
    disk(app, "a-strangers")
    everything = {"virtualMachines", "disks", "snapshots"}
    assert app.run(standing(RECOVERY, PLAN)) == {RUN: everything, OTHER: {"snapshots"}}
    assert app.run(standing(RECOVERY, "nobody")) == {}


# Cleanup


def test_everything_that_a_run_built_goes_and_nothing_else(app: AppSide) -> None:
    built(app)
    others = built(app, OTHER, nic=OTHER_NIC)
    near = {
        snapshot(app, "tagged-and-named-otherwise", tags(RUN)),
        snapshot(app, ids.snapshot_name(ids.set_id(RUN, 1), "sql", "untagged")),
        disk(app, ids.disk_name(RUN, "sql", "of-another-run"), tags(OTHER)),
    }
    cleaned(app)
    assert there(app) == lower(*others.values(), *near, compute("snapshots", "origin"))
    assert SOURCE.lower() in app.azure.compute.resources


def test_a_disk_goes_only_after_its_machine(app: AppSide) -> None:
    parts = built(app)
    first = app.run(clean_up(CleanUpOrder(run=REF, group=RECOVERY)))
    assert (lower(*first.left), first.refused) == (lower(*parts.values()), {})
    assert app.azure.arm.calls["DELETE disks"] == 0
    cleaned(app)
    assert there(app) == set()


@pytest.mark.parametrize("keep", [True, False])
def test_the_recovery_point_is_spared_where_that_is_wanted(app: AppSide, keep: bool) -> None:
    parts = built(app)
    cleaned(app, keep_snapshots=keep)
    assert there(app) == (lower(parts["snapshots"]) if keep else set())


def test_one_workload_goes_and_the_others_stay(app: AppSide) -> None:
    sql, iis = built(app), built(app, workload="iis", nic=OTHER_NIC)
    cleaned(app, workload="sql", keep_snapshots=True)
    assert there(app) == lower(sql["snapshots"], *iis.values())


def test_of_a_workload_only_what_azure_has_not_finished_goes(app: AppSide) -> None:
    """A machine that could not be allocated is deleted; its disk is intact and is reused."""
    marks = tags(RUN)
    point = snapshot(app, ids.snapshot_name(ids.set_id(RUN, 1), "sql", "os"), marks)
    whole = put(app, "disks", ids.disk_name(RUN, "sql", "os"), copy_of(point), marks)
    app.azure.arm.faults.add(Fault("PUT virtualMachines", "AllocationFailed"))
    failed = machine(app, ids.machine_name(RUN, "sql"), whole, marks=marks)
    good = built(app, workload="iis", nic=OTHER_NIC)
    assert app.azure.ask("GET", failed, MACHINES).body["properties"]["provisioningState"] == "Failed"
    cleaned(app, unfinished=True)
    assert there(app) == lower(point, whole, *good.values())


def test_a_machine_whose_start_azure_gave_up_waiting_for_stays(app: AppSide) -> None:
    """Azure reports the machine as failed, but it may be up: a retry probes it."""
    whole = disk(app, "os")
    app.azure.arm.faults.add(Fault("PUT virtualMachines", "VMStartTimedOut", message="It may still start.", later=True))
    slow = machine(app, ids.machine_name(RUN, "sql"), whole, marks=tags(RUN))
    assert app.azure.ask("GET", slow, MACHINES).body["properties"]["provisioningState"] == "Failed"
    cleaned(app, unfinished=True)
    assert slow.lower() in there(app)


@pytest.mark.parametrize("kind", ["virtualMachines", "disks"])
def test_what_hangs_in_the_making_is_unfinished(app: AppSide, kind: str) -> None:
    os = disk(app, "os")
    app.azure.arm.faults.add(Fault(f"PUT {kind}", "hang"))
    name = ids.machine_name(RUN, "sql") if kind == "virtualMachines" else ids.disk_name(RUN, "sql", "os")
    body = machine_from(os, NIC) if kind == "virtualMachines" else copy_of(compute("snapshots", "origin"))
    version = MACHINES if kind == "virtualMachines" else DISKS
    assert app.azure.ask("PUT", compute(kind, name), version, body | {"tags": tags(RUN)}).status in (201, 202)
    cleaned(app, unfinished=True)
    assert compute(kind, name).lower() not in there(app)
    assert os.lower() in there(app)


def test_the_leftovers_of_an_ended_run_go_in_the_name_of_another(app: AppSide) -> None:
    own, ended = built(app), built(app, OTHER, nic=OTHER_NIC)
    cleaned(app, of_run=OTHER, keep_snapshots=True)
    assert there(app) == lower(*own.values(), ended["snapshots"])


def test_what_azure_will_not_delete_is_told_with_its_reason(app: AppSide) -> None:
    parts = built(app)
    app.azure.arm.faults.add(Fault("DELETE virtualMachines", "ScopeLocked", times=100))
    order = CleanUpOrder(run=REF, group=RECOVERY, keep_snapshots=True)
    result = app.run(clean_up(order))
    assert lower(*result.left) == lower(parts["virtualMachines"], parts["disks"])
    (reason,) = result.reasons
    assert reason.startswith(f"{ids.machine_name(RUN, 'sql')}: ")
    assert "ScopeLocked" in reason
    app.azure.arm.faults.clear()
    cleaned(app)


def test_what_is_being_deleted_is_not_deleted_again(app: AppSide) -> None:
    built(app)
    app.azure.arm.faults.add(Fault("DELETE virtualMachines", "hang"))
    order = CleanUpOrder(run=REF, group=RECOVERY, keep_snapshots=True)
    for _ in range(3):
        assert len(app.run(clean_up(order)).left) == 2
    assert app.azure.arm.calls["DELETE virtualMachines"] == 1


def test_a_group_without_anything_of_the_run_is_clean(app: AppSide) -> None:
    others = built(app, OTHER)
    assert app.run(clean_up(CleanUpOrder(run=REF, group=RECOVERY))).left == []
    assert there(app) == lower(*others.values())
