"""The refusals of the lab's Resource Manager, with Azure's own status and code: callers, versions, conflicts, capacity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.clock import Clock
from lab.cloud.faults import Fault
from lab.cloud.identity import A_DAY
from lab.cloud.throttling import Throttling
from lab.cloud.times import Times
from shared.policy.azure_errors import classify
from tests.lab.azure import (
    ARM,
    DISKS,
    ENDPOINTS,
    HELPER,
    LIMIT,
    MACHINES,
    NETWORK,
    NIC,
    OTHER_NIC,
    PROFILE,
    RECOVERY,
    REPLICA,
    ROOT,
    SOURCE,
    SUBSCRIPTIONS,
    Azure,
    compute,
    copy_of,
    machine_from,
    refusal,
    simulated,
)
from tests.waiting import wait_until

SQL = compute("virtualMachines", "sql")
OTHERS = f"{ROOT}/resourceGroups/rg-other"


@pytest.fixture
def azure() -> Iterator[Azure]:
    with simulated() as azure:
        yield azure


def foreign(azure: Azure) -> str:
    """A token of another directory, signed with that directory's key."""
    claims = jwt.decode(azure.token(), options={"verify_signature": False})
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims, key, algorithm="RS256")


def expired(azure: Azure) -> str:
    return azure.identity.issue(ARM, {"oid": "somebody"}, age=2 * A_DAY)


def for_the_vault(azure: Azure) -> str:
    return azure.token("https://vault.azure.net")


# Callers


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, "AuthenticationFailed"),
        (lambda azure: "not-a-token", "InvalidAuthenticationToken"),
        (foreign, "InvalidAuthenticationToken"),
        (expired, "ExpiredAuthenticationToken"),
        (for_the_vault, "InvalidAuthenticationTokenAudience"),
    ],
    ids=["none", "garbage", "foreign", "expired", "another audience"],
)
def test_call_without_a_valid_token_gets_401(azure: Azure, token: Callable[[Azure], str] | None, code: str) -> None:
    headers = {"Authorization": f"Bearer {token(azure)}"} if token else {}
    reply = azure.call("GET", azure.front.url + SOURCE, headers, params={"api-version": DISKS})
    assert (reply.status, reply.code) == (401, code)
    assert reply.body["error"]["message"]


def test_401_names_the_scheme_to_authenticate_with(azure: Azure) -> None:
    """RFC 9110, 15.5.2; azure-core's challenge policies read it."""
    reply = azure.call("GET", azure.front.url + SOURCE, {}, params={"api-version": DISKS})
    assert reply.headers.get("WWW-Authenticate", "").startswith("Bearer ")


@pytest.mark.parametrize("resource", [ARM, f"{ARM}/", "https://management.core.windows.net/"])
def test_every_audience_of_resource_manager_is_accepted(azure: Azure, resource: str) -> None:
    headers = {"Authorization": f"Bearer {azure.token(resource)}"}
    assert azure.call("GET", azure.front.url + SOURCE, headers, params={"api-version": DISKS}).status == 200


DENIED = [
    ("DELETE", SOURCE, DISKS, None, "Microsoft.Compute/disks/delete"),
    ("PUT", compute("disks", "new", REPLICA), DISKS, copy_of(SOURCE), "Microsoft.Compute/disks/write"),
    ("PUT", SOURCE, DISKS, copy_of(SOURCE), "Microsoft.Compute/disks/write"),
    ("PUT", HELPER, MACHINES, machine_from(SOURCE, NIC), "Microsoft.Compute/virtualMachines/write"),
    ("DELETE", HELPER, MACHINES, None, "Microsoft.Compute/virtualMachines/delete"),
    ("PUT", compute("snapshots", "x", REPLICA), DISKS, copy_of(SOURCE), "Microsoft.Compute/snapshots/write"),
    (
        "POST",
        f"{compute('virtualMachines', 'theirs', OTHERS)}/runCommand",
        MACHINES,
        {},
        "Microsoft.Compute/virtualMachines/runCommand/action",
    ),
    ("GET", NIC.replace(RECOVERY, OTHERS), NETWORK, None, "Microsoft.Network/networkInterfaces/read"),
    ("GET", f"{PROFILE}-2", ENDPOINTS, None, "Microsoft.Network/trafficManagerProfiles/read"),
    ("GET", f"{ROOT}/providers/Microsoft.Compute/disks", DISKS, None, "Microsoft.Compute/disks/read"),
]


@pytest.mark.parametrize(
    ("method", "path", "version", "body", "action"), DENIED, ids=[f"{d[0]} {d[4]}" for d in DENIED]
)
def test_action_outside_the_deployed_roles_gets_403_that_names_it(
    azure: Azure, method: str, path: str, version: str, body: Any, action: str
) -> None:
    """The second PUT of a machine without its data disk is how a disk is detached."""
    before = azure.ask("GET", SOURCE, DISKS).body
    reply = azure.ask(method, path, version, body)
    assert (reply.status, reply.code) == (403, "AuthorizationFailed")
    assert f"'{action}'" in reply.body["error"]["message"]
    assert azure.ask("GET", SOURCE, DISKS).body == before


def test_snapshot_of_a_disk_outside_the_replica_group_is_denied(azure: Azure) -> None:
    reply = azure.put_snapshot(source=compute("disks", "theirs", OTHERS))
    assert (reply.status, reply.code) == (403, "AuthorizationFailed")


def test_role_in_a_group_grants_nothing_in_a_group_whose_name_begins_with_it(azure: Azure) -> None:
    reply = azure.ask("GET", compute("disks", "theirs", f"{RECOVERY}-2"), DISKS)
    assert (reply.status, reply.code) == (403, "AuthorizationFailed")


def test_person_may_read_and_not_write(azure: Azure) -> None:
    assert azure.ask("GET", SOURCE, DISKS, person=True).status == 200
    reply = azure.ask("PUT", compute("snapshots", "mine"), DISKS, copy_of(SOURCE), person=True)
    assert reply.status == 403


def test_subscriptions_are_listed_to_whoever_has_any_role_in_them(azure: Azure) -> None:
    assert azure.ask("GET", "/subscriptions", SUBSCRIPTIONS).status == 200


# Operations that are not modelled


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", SOURCE),
        ("POST", f"{SQL}/deallocate"),
        ("POST", f"{HELPER}/attachDetachDataDisks"),
        ("DELETE", PROFILE),
        ("GET", f"{ROOT}/providers/Microsoft.Compute/skus"),
    ],
)
def test_unknown_operation_is_refused_by_method_and_path(azure: Azure, method: str, path: str) -> None:
    reply = azure.ask(method, path, DISKS)
    assert (reply.status, reply.code) == (404, "NotSimulated")
    assert reply.body["error"]["message"].startswith(f"NotSimulated: {method} {path}")


def test_unknown_api_version_gets_400_that_names_the_known_ones(azure: Azure) -> None:
    reply = azure.ask("GET", SOURCE, "1999-01-01")
    assert (reply.status, reply.code) == (400, "InvalidApiVersionParameter")
    assert DISKS in reply.body["error"]["message"]


@pytest.mark.parametrize("operation", [False, True], ids=["resource", "operation"])
def test_missing_api_version_gets_400(azure: Azure, operation: bool) -> None:
    path = SOURCE
    if operation:
        path = azure.put_snapshot().headers["Azure-AsyncOperation"].partition("?")[0]
    reply = azure.ask("GET", path)
    assert (reply.status, reply.body.get("error", {}).get("code")) == (400, "MissingApiVersionParameter")


def test_machine_without_a_location_gets_400(azure: Azure) -> None:
    body = machine_from(azure.disk("sql-os"), NIC)
    del body["location"]
    reply = azure.ask("PUT", SQL, MACHINES, body)
    assert (reply.status, reply.code) == (400, "LocationRequired")


def test_body_that_is_no_json_gets_400(azure: Azure) -> None:
    headers = {"Authorization": f"Bearer {azure.token()}", "Content-Type": "application/json"}
    how = {"params": {"api-version": DISKS}, "data": b"{not json"}
    reply = azure.call("PUT", azure.front.url + compute("snapshots", "x"), headers, **how)
    assert (reply.status, reply.code) == (400, "InvalidRequestContent")


def test_paths_are_the_same_in_any_case(azure: Azure) -> None:
    path = compute("snapshots", "Point")
    azure.finished(
        azure.ask("PUT", path.lower(), DISKS, copy_of(SOURCE.upper().replace("SUBSCRIPTIONS", "Subscriptions")))
    )
    assert azure.ask("GET", path.upper(), DISKS).status == 200
    reply = azure.ask(
        "GET", f"{PROFILE}/ExternalEndpoints/PRIMARY".replace("trafficManager", "trafficmanager"), ENDPOINTS
    )
    assert (reply.status, reply.body["name"]) == (200, "primary")
    missing = azure.ask("GET", compute("DISKS", "gone").lower(), DISKS)
    assert (missing.status, missing.code) == (404, "ResourceNotFound")


def test_profile_whose_name_begins_with_this_ones_is_not_found(azure: Azure) -> None:
    reply = azure.ask("GET", f"{PROFILE}-2", ENDPOINTS, person=True)
    assert (reply.status, reply.body.get("error", {}).get("code")) == (404, "ResourceNotFound")


# Throttling


def test_too_many_calls_for_one_machine_get_429_and_the_next_machine_none() -> None:
    """The bucket of one machine's GET holds 36 and gets 12 a minute (MicrosoftDocs, compute-throttling-limits.md)."""
    with simulated(speed=1.0) as azure:
        for name in ("one", "other"):
            azure.compute.place_machine(compute("virtualMachines", name), "westeurope")
        replies = [azure.ask("GET", compute("virtualMachines", "one"), MACHINES) for _ in range(45)]
        refused = [reply for reply in replies if reply.status != 200]
        assert [reply.status for reply in replies[:36]] == [200] * 36
        assert {(reply.status, reply.code) for reply in refused} == {(429, "OperationNotAllowed")}
        assert all(1 <= int(reply.headers["Retry-After"]) <= 5 for reply in refused)
        assert azure.arm.throttled == len(refused)
        assert azure.ask("GET", compute("virtualMachines", "other"), MACHINES).status == 200


@pytest.mark.parametrize(
    ("methods", "bucket"),
    [(["GET"], 250), (["PUT", "POST", "PATCH"], 200), (["DELETE"], 200)],
    ids=["reads", "writes", "deletes"],
)
def test_one_caller_empties_the_subscriptions_bucket_and_no_other(methods: list[str], bucket: int) -> None:
    """MicrosoftDocs, request-limits-and-throttling.md; the clock stands still, so nothing is refilled."""
    throttling = Throttling(Clock(1.0, lambda: 0.0))
    wait = throttling.wait_for_the_subscription
    waits = [wait(methods[n % len(methods)], "the app") for n in range(bucket + 1)]
    assert [n for n, wait in enumerate(waits) if wait] == [bucket]
    assert wait(methods[0], "another caller") == 0.0


def test_a_throttled_subscription_answers_in_resource_managers_own_words(azure: Azure) -> None:
    azure.arm.throttling.wait_for_the_subscription = lambda *_: 4000.0  # type: ignore[method-assign]
    reply = azure.ask("GET", SOURCE, DISKS)
    assert (reply.status, reply.code, reply.headers["Retry-After"]) == (429, "SubscriptionRequestsThrottled", "4")
    assert classify(reply.status, reply.code, "too many").kind == "throttled"


def test_declared_throttling_reaches_the_sdk_as_429_with_retry_after(azure: Azure) -> None:
    azure.arm.faults.add(Fault("PUT snapshots", "429", retry_after=7000))
    put = azure.compute_client().snapshots.begin_create_or_update
    error = refusal(lambda: put("rg-recovery", "point", copy_of(SOURCE), polling=False))
    assert error.status_code == 429
    assert error.error is not None
    assert error.error.code == "OperationNotAllowed"
    assert error.response is not None
    assert error.response.headers["Retry-After"] == "7"
    assert azure.put_snapshot().status == 202


# Conflicts


def test_disk_in_use_cannot_be_deleted(azure: Azure) -> None:
    disk = azure.disk("sql-os")
    azure.finished(azure.put_machine("sql", disk))
    reply = azure.ask("DELETE", disk, DISKS)
    assert (reply.status, reply.code) == (409, "OperationNotAllowed")
    assert SQL in reply.body["error"]["message"]
    assert azure.ask("GET", disk, DISKS).body["properties"]["provisioningState"] == "Succeeded"


def test_disk_of_another_machine_cannot_be_attached(azure: Azure) -> None:
    """Seen: ConflictingUserInput (kubernetes-sigs/azuredisk-csi-driver#1378, Azure/aks-engine#1146)."""
    disk = azure.disk("sql-os")
    azure.finished(azure.put_machine("sql", disk))
    reply = azure.put_machine("iis", disk, nic=OTHER_NIC)
    assert (reply.status, reply.code) == (409, "ConflictingUserInput")


def test_interface_of_another_machine_cannot_be_used(azure: Azure) -> None:
    azure.finished(azure.put_machine("sql", azure.disk("sql-os")))
    reply = azure.put_machine("iis", azure.disk("iis-os"))
    assert reply.status in (400, 409)
    assert reply.code == "NicInUse"


def test_disk_left_out_of_a_machines_next_put_is_detached(azure: Azure) -> None:
    disk, data = azure.disk("sql-os"), azure.disk("sql-data")
    azure.finished(azure.put_machine("sql", disk, data=(data,)))
    azure.finished(azure.put_machine("sql", disk))
    found = azure.ask("GET", data, DISKS).body
    assert (found.get("managedBy"), found["properties"]["diskState"]) == (None, "Unattached")


def test_existing_machine_is_not_put_again_when_it_must_be_missing(azure: Azure) -> None:
    disk, client = azure.disk("sql-os"), azure.compute_client()
    how: dict[str, Any] = {"match_condition": MatchConditions.IfMissing}
    put = client.virtual_machines.begin_create_or_update
    assert put("rg-recovery", "sql", machine_from(disk, NIC), **how).result(LIMIT).name == "sql"
    error = refusal(lambda: put("rg-recovery", "sql", machine_from(disk, NIC, size="Standard_D4s_v5"), **how))
    assert (type(error), error.status_code) == (ResourceExistsError, 412)
    assert azure.ask("GET", SQL, MACHINES).body["properties"]["hardwareProfile"]["vmSize"] == "Standard_D2s_v5"


def test_second_run_command_waits_for_the_first(azure: Azure) -> None:
    azure.arm.faults.add(Fault("POST runCommand", "hang"))
    body = {"commandId": "RunPowerShellScript", "script": ["Get-Date"]}
    assert azure.ask("POST", f"{HELPER}/runCommand", MACHINES, body).status == 202
    reply = azure.ask("POST", f"{HELPER}/runCommand", MACHINES, body)
    assert (reply.status, reply.code) == (409, "Conflict")


# Capacity


def failed_machine(azure: Azure, code: str = "AllocationFailed") -> str:
    """A machine of one size that could not be allocated; its OS disk."""
    azure.arm.faults.add(Fault("PUT virtualMachines", code, size="Standard_D4s_v5", times=100))
    disk = azure.disk("sql-os")
    accepted = azure.put_machine("sql", disk, size="Standard_D4s_v5")
    assert accepted.status == 201
    assert azure.finished(accepted).body["error"]["code"] == code
    return disk


@pytest.mark.parametrize("code", ["AllocationFailed", "ZonalAllocationFailed", "OverconstrainedAllocationRequest"])
def test_failed_allocation_leaves_a_failed_machine_whose_view_names_the_code(azure: Azure, code: str) -> None:
    failed_machine(azure, code)
    assert azure.ask("GET", SQL, MACHINES).body["properties"]["provisioningState"] == "Failed"
    statuses = azure.compute_client().virtual_machines.instance_view("rg-recovery", "sql").statuses or []
    assert [(status.code, status.level) for status in statuses] == [(f"ProvisioningState/failed/{code}", "Error")]
    assert statuses[0].message


def test_failed_machine_succeeds_as_the_same_machine_with_another_size(azure: Azure) -> None:
    disk = failed_machine(azure)
    before = azure.ask("GET", SQL, MACHINES).body["properties"]["vmId"]
    again = azure.put_machine("sql", disk, size="Standard_E4s_v5")
    assert again.status == 200
    assert azure.finished(again).body["status"] == "Succeeded"
    properties = azure.ask("GET", SQL, MACHINES).body["properties"]
    assert (properties["provisioningState"], properties["vmId"]) == ("Succeeded", before)
    assert properties["hardwareProfile"]["vmSize"] == "Standard_E4s_v5"
    view = azure.ask("GET", f"{SQL}/instanceView", MACHINES).body
    assert [s["code"] for s in view["statuses"]] == ["ProvisioningState/succeeded", "PowerState/running"]


def test_interface_of_a_failed_machine_stays_reserved_for_it(azure: Azure) -> None:
    failed_machine(azure)
    azure.finished(azure.ask("DELETE", SQL, MACHINES))
    other = azure.disk("iis-os")
    reply = azure.put_machine("iis", other)
    assert reply.status in (400, 409)
    assert reply.code == "NicReservedForAnotherVm"
    assert SQL in reply.body["error"]["message"]
    assert azure.put_machine("sql", other).status == 201


def test_reservation_of_an_interface_ends() -> None:
    with simulated(times=Times(nic_reserved=180.0)) as azure:
        failed_machine(azure)
        azure.finished(azure.ask("DELETE", SQL, MACHINES))
        disk = azure.disk("iis-os")
        assert wait_until(lambda: azure.put_machine("iis", disk).status == 201, LIMIT, "a free interface")


@pytest.mark.parametrize("code", ["SkuNotAvailable", "QuotaExceeded"])
def test_refused_size_leaves_no_machine_and_a_free_interface(azure: Azure, code: str) -> None:
    azure.arm.faults.add(Fault("PUT virtualMachines", code))
    disk = azure.disk("sql-os")
    reply = azure.put_machine("sql", disk)
    assert (reply.status, reply.code) == (409, code)
    assert azure.ask("GET", SQL, MACHINES).status == 404
    assert azure.put_machine("iis", disk).status == 201
