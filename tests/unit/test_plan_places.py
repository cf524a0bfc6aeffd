"""The resource groups in which Coldsite's identity may use a plan's resources."""

from __future__ import annotations

import pytest

from shared.models.errors import PlanError
from tests.plans import contoso, contoso_with

ELSEWHERE = "/subscriptions/00000000-0000-0000-0000-00000000c01d/resourceGroups/elsewhere/providers"
NIC = f"{ELSEWHERE}/Microsoft.Network/networkInterfaces/sql"
DISK = f"{ELSEWHERE}/Microsoft.Compute/disks/sql"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (
            "nic.failover",
            NIC,
            r"sql\.nic\.failover: is outside /subscriptions/.*/resourceGroups/contoso-recovery, the only",
        ),
        (
            "nic.drill",
            NIC,
            r"sql\.nic\.drill: is outside /subscriptions/.*/resourceGroups/contoso-recovery, the only",
        ),
        (
            "disks.os",
            DISK,
            r"sql\.disks\.os: is outside resource group contoso-replica of subscription .*, the replication machine's",
        ),
        (
            "disks.data.0.disk",
            DISK,
            r"sql\.disks\.data\.0: is outside resource group contoso-replica of subscription .*, the replication machine's",
        ),
    ],
)
def test_refuses_what_azure_would_refuse_in_the_middle_of_a_failover(key: str, value: str, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        contoso_with({f"recovery.workloads.sql.{key}": value})


def test_names_of_groups_are_compared_as_azure_compares_them() -> None:
    nic = contoso().recovery.workloads["sql"].nic.failover
    changed = nic.replace("/resourceGroups/contoso-recovery/", "/resourceGroups/Contoso-Recovery/")
    assert contoso_with({"recovery.workloads.sql.nic.failover": changed})
