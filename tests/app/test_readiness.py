"""Readiness against the lab's Azure: nothing is found where nothing is wrong, and what is planted is found."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.api import Api

PATH = "/api/plans/contoso/readiness"
MOST_CALLS = 20


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api() as api:
        yield api


def codes(api: Api) -> set[tuple[str, str]]:
    answer = api.get(PATH)
    assert answer.status == 200, answer.text
    return {(finding["code"], finding["subject"]) for finding in answer.json["findings"]}


ORDINARY = {("drill", "drill"), ("notification", "NOTIFY_URL"), ("points", "recovery points"), ("data", "replica")}
"""A lab that has just begun has neither drilled nor seen its replica."""


def test_a_new_site_lacks_a_drill_and_nothing_else_in_few_calls(api: Api) -> None:
    """The fewest of three times: the watch and housekeeping may call Azure meanwhile."""
    calls = []
    for _ in range(3):
        before = sum(api.lab.arm.calls.values())
        assert codes(api) <= ORDINARY
        calls.append(sum(api.lab.arm.calls.values()) - before)
    assert min(calls) <= MOST_CALLS


def test_what_is_planted_is_found(api: Api) -> None:
    catalog, sizes = api.lab.catalog, api.lab.plan.recovery.workloads["sql"].sizes

    def plant() -> None:
        catalog.restricted.add(sizes[0])
        catalog.limits["cores"] = 2
        api.lab.traffic.switch("azure", enabled=True)

    def heal() -> None:
        catalog.restricted.clear()
        catalog.limits.clear()
        api.lab.traffic.switch("azure", enabled=False)

    api.on_loop(plant)
    try:
        found = codes(api)
    finally:
        api.on_loop(heal)
    assert {("size", f"sql/{sizes[0]}"), ("quota", "cores"), ("recovery_enabled", "azure")} <= found
    assert codes(api) <= ORDINARY


def test_a_right_that_is_missing_is_a_finding_and_hides_nothing_else(api: Api) -> None:
    grants: list[Any] = api.lab.identity._grants
    kept = list(grants)
    action = "Microsoft.Compute/skus/read"
    api.on_loop(lambda: grants.__setitem__(slice(None), [_without(grant, action) for grant in kept]))
    try:
        found = codes(api)
    finally:
        api.on_loop(lambda: grants.__setitem__(slice(None), kept))
    assert ("unread", "the sizes of the region") in found
    assert found - ORDINARY == {("unread", "the sizes of the region")}


def _without(grant: Any, action: str) -> Any:
    return type(grant)(grant.scope, tuple(granted for granted in grant.actions if granted != action))


def test_a_role_that_grants_less_than_a_failover_needs_is_a_blocker(api: Api) -> None:
    grants: list[Any] = api.lab.identity._grants
    kept = list(grants)
    action = "Microsoft.Compute/virtualMachines/write"
    api.on_loop(lambda: grants.__setitem__(slice(None), [_without(grant, action) for grant in kept]))
    try:
        answer = api.get(PATH)
    finally:
        api.on_loop(lambda: grants.__setitem__(slice(None), kept))
    (finding,) = [finding for finding in answer.json["findings"] if finding["code"] == "right"]
    assert (finding["subject"], finding["severity"]) == ("recovery", "blocker")
    assert action in finding["found"]
    assert not answer.json["ready"]


def test_everything_that_can_be_planted_in_azure_is_found_at_once(api: Api) -> None:
    lab = api.lab
    sql, iis = (lab.plan.recovery.workloads[name] for name in ("sql", "iis"))
    nics: dict[str, Any] = lab.network._nics
    kept = copy.deepcopy(nics)
    hostname, host = lab.plan.traffic.hostname, lab.hosts[0]
    aliases, tolerated, ttl = lab.dns._aliases, lab.traffic.config.tolerated, lab.traffic.ttl
    left = f"{lab.plan.recovery.resource_group}/providers/Microsoft.Compute/disks/sql-os-f270114200000-0000"

    def plant() -> None:
        del nics[sql.nic.drill.lower()]
        nics[sql.nic.failover.lower()]["properties"]["dnsSettings"]["dnsServers"] = ["127.1.0.53"]
        taken = nics[iis.nic.failover.lower()]["properties"]
        taken["virtualMachine"] = {"id": left.replace("disks/sql-os", "virtualMachines/mail")}
        taken["ipConfigurations"][0]["properties"]["privateIPAddress"] = "127.20.1.99"
        lab.catalog.restricted.update(iis.sizes)
        lab.traffic.method, lab.traffic.ttl, lab.traffic.config.tolerated = "Weighted", 300.0, 9
        aliases[host] = "elsewhere.example"
        tags = {"coldsite-run": "contoso-f20270114200000000-0000", "coldsite-plan": "contoso"}
        lab.compute.resources[left.lower()] = {
            "id": left,
            "name": left.rsplit("/", 1)[-1],
            "type": "Microsoft.Compute/disks",
            "location": "westeurope",
            "tags": tags,
            "properties": {"provisioningState": "Succeeded"},
        }

    def heal() -> None:
        nics.clear()
        nics.update(kept)
        lab.catalog.restricted.clear()
        lab.traffic.method, lab.traffic.ttl, lab.traffic.config.tolerated = "Priority", ttl, tolerated
        aliases[host] = hostname
        lab.compute.resources.pop(left.lower(), None)

    api.on_loop(plant)
    try:
        found = codes(api)
    finally:
        api.on_loop(heal)
    assert {
        ("interface", "sql/drill"),
        ("resolver", "sql/failover"),
        ("interface_in_use", "iis/failover"),
        ("address", "iis/failover"),
        ("no_size", "iis"),
        ("routing_method", hostname),
        ("ttl", hostname),
        ("probe", hostname),
        ("name", host),
        ("occupied", "recovery group"),
    } <= found
    assert codes(api) <= ORDINARY
