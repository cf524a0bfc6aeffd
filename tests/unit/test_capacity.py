"""The capacity ladder: the meaning of Azure's errors, and the next size to try."""

from __future__ import annotations

import pytest

from shared.models.operations import Refusal, RefusalKind
from shared.policy.azure_errors import classify
from shared.policy.capacity import family, next_rung

QUOTA = "Operation could not be completed as it results in exceeding approved standardDSv5Family Cores quota."
LADDER = ["Standard_D4s_v5", "Standard_D8s_v5", "Standard_D4as_v5", "Standard_D4s_v4"]


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (429, "OperationNotAllowed", "The server rejected the request: too many requests.", "throttled"),
        (429, "OperationNotAllowed", QUOTA, "throttled"),
        (429, "AllocationFailed", "", "throttled"),
        (429, "", "", "throttled"),
        (409, "OperationNotAllowed", QUOTA, "quota"),
        (400, "OperationNotAllowed", QUOTA, "quota"),
        (403, "QuotaExceeded", "", "quota"),
        (0, "OperationNotAllowed", QUOTA, "quota"),
        (0, "AllocationFailed", "", "capacity"),
        (409, "AllocationFailed", "", "capacity"),
        (409, "SkuNotAvailable", "", "capacity"),
        (409, "ZonalAllocationFailed", "", "capacity"),
        (200, "OverconstrainedAllocationRequest", "", "capacity"),
        (200, "OverconstrainedZonalAllocationRequest", "", "capacity"),
        (200, "ALLOCATIONFAILED", "", "capacity"),
        (400, "NicReservedForAnotherVm", "", "conflict"),
        (409, "Conflict", "", "conflict"),
        (409, "ConflictingUserInput", "", "in_use"),
        (409, "NicInUse", "", "in_use"),
        (409, "OperationNotAllowed", "The machine is not running.", "permanent"),
        (0, "RetryableError", "", "conflict"),
        (409, "OperationNotAllowed", "Another operation is in progress on this disk.", "conflict"),
        (0, "OperationTimedOut", "", "conflict"),
        (0, "VMExtensionInternalError", "", "conflict"),
        (400, "InvalidParameter", "The value of parameter vmSize is not valid in this region.", "capacity"),
        (400, "BadRequest", "The virtual machine size Standard_B1s does not support premium storage.", "capacity"),
        (409, "ZonesAllocationFailed", "", "capacity"),
        (408, "", "", "conflict"),
        (500, "InternalServerError", "", "conflict"),
        (0, "NetworkingInternalOperationError", "", "conflict"),
        (0, "InternalExecutionError", "", "conflict"),
        (409, "RetryableErrorDueToAnotherOperation", "", "conflict"),
        (0, "Canceled", "", "conflict"),
        (0, "OperationCancelled", "", "permanent"),
        (0, "GatewayTimeout", "", "conflict"),
        (503, "ServiceUnavailable", "", "conflict"),
        (409, "OperationNotAllowed", "Please retry later.", "conflict"),
        (409, "SomethingNew", "It is being used by another operation.", "conflict"),
        (0, "TooManyRequests", "", "throttled"),
        (0, "SubscriptionRequestsThrottled", "", "throttled"),
        (400, "ReferencedResourceNotProvisioned", "", "conflict"),
        (400, "VMSizeIsNotPermittedToEnableAcceleratedNetworking", "", "capacity"),
        (400, "AvailabilityZoneNotSupported", "", "capacity"),
        (400, "InvalidParameter", "The VM size 'Standard_D4s_v5' cannot boot with controller SCSI.", "capacity"),
        (
            409,
            "OperationNotAllowed",
            "The maximum number of data disks allowed to be attached to a VM of this size is 4.",
            "capacity",
        ),
        (400, "BadRequest", "The selected VM size 'x' cannot boot Hypervisor Generation '1'.", "capacity"),
        (403, "Forbidden", "The VM size is not for you.", "permanent"),
        (400, "InvalidParameter", "", "permanent"),
        (403, "AuthorizationFailed", "The client has no quota role.", "permanent"),
        (400, "OperationNotAllowed", "The disk is attached to a running machine.", "permanent"),
        (404, "ResourceNotFound", "", "permanent"),
    ],
)
def test_sorts_a_refusal_by_status_first_and_then_by_code(
    status: int, code: str, message: str, kind: RefusalKind
) -> None:
    assert classify(status, code, message).kind == kind


def test_a_refusal_keeps_what_azure_said() -> None:
    refusal = classify(429, "OperationNotAllowed", "Too many\n   requests.", retry_after=1200)
    assert (refusal.code, refusal.retry_after) == ("OperationNotAllowed", 1200)
    assert refusal.sentence == "Azure answered OperationNotAllowed: Too many requests."


def test_a_refusal_without_a_code_is_named_by_its_status() -> None:
    assert classify(503, "", "busy").sentence == "Azure answered 503: busy"


@pytest.mark.parametrize(
    ("first", "other", "same"),
    [
        ("Standard_D4s_v5", "Standard_D8s_v5", True),
        ("Standard_D4s_v5", "Standard_D96s_v5", True),
        ("Standard_E4s_v5", "Standard_E4-2s_v5", True),
        ("Standard_F2", "Standard_F4", True),
        ("Standard_D4s_v5", "Standard_D4as_v5", False),
        ("Standard_D4s_v5", "Standard_D4ds_v5", False),
        ("Standard_D4s_v5", "Standard_D4s_v4", False),
        ("Standard_D4s_v5", "Standard_E4s_v5", False),
        ("Standard_NC24ads_A100_v4", "Standard_NC48ads_A10_v4", False),
    ],
)
def test_sizes_share_a_quota_family_when_only_their_number_differs(first: str, other: str, same: bool) -> None:
    assert (family(first) == family(other)) is same


@pytest.mark.parametrize(
    ("kind", "rung", "following"),
    [
        ("capacity", 0, 1),
        ("capacity", 1, 2),
        ("capacity", 3, None),
        ("quota", 0, 2),
        ("quota", 1, 2),
        ("quota", 2, 3),
        ("quota", 3, None),
    ],
)
def test_climbs_to_the_next_size_and_after_a_quota_to_the_next_family(
    kind: RefusalKind, rung: int, following: int | None
) -> None:
    assert next_rung(LADDER, rung, Refusal(kind=kind, code="C", message="m")) == following


def test_a_smaller_size_of_the_same_family_is_tried_at_quota() -> None:
    assert next_rung(["Standard_D8s_v5", "Standard_D4s_v5"], 0, classify(403, "QuotaExceeded", "")) == 1


def test_a_ladder_of_one_family_ends_at_its_quota() -> None:
    assert next_rung(LADDER[:2], 0, classify(403, "QuotaExceeded", "")) is None
    assert next_rung(LADDER[:2], 0, classify(409, "AllocationFailed", "")) == 1
