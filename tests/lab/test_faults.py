"""Faults of a scenario: connections that break before or after the act, changes that are accepted without effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError

from lab.cloud.faults import Fault, Faults
from tests.lab.azure import DISKS, ENDPOINTS, PROFILE, SOURCE, Azure, Reply, compute, copy_of, simulated

POINT = compute("snapshots", "point")
PRIMARY = f"{PROFILE}/externalEndpoints/primary"


@pytest.fixture
def azure() -> Iterator[Azure]:
    with simulated() as azure:
        yield azure


def there(azure: Azure) -> bool:
    return POINT.lower() in azure.compute.resources


def breaks_off(call: Callable[[], Any]) -> None:
    """The SDK on requests; aiohttp would itself retry what may be repeated."""
    with pytest.raises(AzureError) as caught:
        call()
    assert isinstance(caught.value, (ServiceRequestError, ServiceResponseError))


def snapshot(azure: Azure) -> Any:
    return azure.compute_client().snapshots.begin_create_or_update(
        "rg-recovery", "point", copy_of(SOURCE), polling=False
    )


def disable(azure: Azure) -> Reply:
    return azure.ask("PATCH", PRIMARY, ENDPOINTS, {"properties": {"endpointStatus": "Disabled"}})


# What a fault does


def test_reset_breaks_off_before_anything_is_done(azure: Azure) -> None:
    azure.arm.faults.add(Fault("PUT snapshots", "reset"))
    breaks_off(lambda: snapshot(azure))
    assert not there(azure)
    assert azure.put_snapshot().status == 202


def test_lost_breaks_off_after_it_was_done(azure: Azure) -> None:
    azure.arm.faults.add(Fault("PUT snapshots", "lost"))
    breaks_off(lambda: snapshot(azure))
    assert there(azure)
    assert azure.put_snapshot().status == 200


@pytest.mark.parametrize("error", ["reset", "lost"])
def test_a_look_breaks_off_as_well(azure: Azure, error: str) -> None:
    azure.finished(azure.put_snapshot())
    azure.arm.faults.add(Fault("GET snapshots", error))
    breaks_off(lambda: azure.compute_client().snapshots.get("rg-recovery", "point"))
    assert azure.ask("GET", POINT, DISKS).status == 200


def test_ignored_says_yes_and_changes_nothing(azure: Azure) -> None:
    azure.arm.faults.add(Fault("PATCH externalEndpoints", "ignored"))
    reply = disable(azure)
    assert (reply.status, reply.body["properties"]["endpointStatus"]) == (200, "Enabled")
    assert azure.traffic.endpoints["primary"].enabled
    reply = disable(azure)
    assert (reply.status, reply.body["properties"]["endpointStatus"]) == (200, "Disabled")


def test_a_refused_patch_changes_nothing(azure: Azure) -> None:
    azure.arm.faults.add(Fault("PATCH externalEndpoints", "ScopeLocked"))
    reply = disable(azure)
    assert (reply.status, reply.code) == (409, "ScopeLocked")
    assert azure.traffic.endpoints["primary"].enabled


def test_a_caller_who_may_not_do_it_uses_up_no_fault(azure: Azure) -> None:
    azure.arm.faults.add(Fault("PUT snapshots", "reset"))
    other = compute("snapshots", "point", "/subscriptions/other/resourceGroups/rg")
    assert azure.ask("PUT", other, DISKS, {}).status == 403
    breaks_off(lambda: snapshot(azure))


# When it happens


@pytest.mark.parametrize(
    ("times", "skip", "hit"),
    [
        (1, 0, "x...."),
        (2, 0, "xx..."),
        (1, 1, ".x..."),
        (2, 2, "..xx."),
        (9, 3, "...xx"),
        (1, 9, "....."),
        (0, 0, "....."),
    ],
)
def test_the_first_that_fit_pass_and_then_so_many_are_hit(times: int, skip: int, hit: str) -> None:
    faults = Faults()
    faults.add(Fault("PUT disks", "500", times=times, skip=skip))
    words = {"disks"}
    assert "".join("x" if faults.take("PUT", words, None) else "." for _ in range(5)) == hit


def test_what_does_not_fit_is_not_counted_as_skipped() -> None:
    faults = Faults()
    faults.add(Fault("PUT virtualMachines", "500", size="Standard_D2s_v5", skip=1))
    words = {"virtualmachines"}
    asked = [("GET", None), ("PUT", "Standard_D4s_v5"), ("PUT", "Standard_D2s_v5"), ("PUT", "Standard_D2s_v5")]
    assert [faults.take(method, words, size) is not None for method, size in asked] == [False, False, False, True]


def test_while_one_fault_skips_the_next_may_hit() -> None:
    faults = Faults()
    faults.add(Fault("PUT disks", "500", skip=1))
    faults.add(Fault("PUT disks", "lost"))
    hits = [faults.take("PUT", {"disks"}, None) for _ in range(3)]
    assert [hit and hit.error for hit in hits] == ["lost", "500", None]


def test_healing_forgets_every_fault(azure: Azure) -> None:
    for error in ("reset", "lost", "500"):
        azure.arm.faults.add(Fault("PUT snapshots", error, times=100))
    azure.arm.faults.clear()
    assert azure.put_snapshot().status == 202
