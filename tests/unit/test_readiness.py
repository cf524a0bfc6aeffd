"""What would go wrong in a failover: every finding when it is planted, and none when nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.models.evidence import Evidence
from shared.models.readiness import InterfaceView, ProfileView, Quota, ReadinessFacts, SizeView
from shared.models.routing import EndpointView, Routing
from shared.policy.readiness import findings
from tests.plans import contoso

NOW = datetime(2027, 1, 15, 20, 0, tzinfo=UTC)
PLAN = contoso()
SQL = PLAN.recovery.workloads["sql"]
WELL = EndpointView(enabled=True, monitor="Online", target="a")
OFF = EndpointView(enabled=False, monitor="Disabled", target="b")


PROFILE = ProfileView(ttl=20, routing_method="Priority", notices_after=35)
SLOW = ProfileView(ttl=300, routing_method="Weighted", notices_after=130)


def good() -> dict[str, Any]:
    """A site that is ready."""
    workloads = PLAN.recovery.workloads.values()
    return {
        "at": NOW,
        "routing": Routing(primary=WELL, recovery=OFF),
        "profile": PROFILE,
        "follows": {"shop.contoso.example": True},
        "interfaces": {
            w.nic.of(role).lower(): InterfaceView(address=w.address.of(role), machine=None, location="westeurope")
            for w in workloads
            for role in ("failover", "drill")
        },
        "sizes": {size.lower(): SizeView(family=f"f{size}", cores=4) for w in workloads for size in w.sizes},
        "quotas": {"cores": Quota(used=0, limit=20)},
        "newest_point": NOW - timedelta(minutes=30),
        "points_read": True,
        "standing": [],
        "delivered": {"NOTIFY_URL": NOW - timedelta(days=80)},
        "last_drill": NOW - timedelta(days=10),
        "drill_is_of_this_plan": True,
    }


def found(data_until: datetime | None = NOW, **changes: Any) -> list[tuple[str, str, str]]:
    facts = ReadinessFacts.model_validate(good() | changes)
    return [
        (finding.severity, finding.code, finding.subject) for finding in findings(PLAN, "primary", data_until, facts)
    ]


def nic(role: str, **changes: Any) -> dict[str, Any]:
    key = SQL.nic.of(role).lower()
    changed = good()["interfaces"][key].model_copy(update=changes)
    return {"interfaces": good()["interfaces"] | {key: changed}}


def test_what_the_plan_says_of_software_and_of_the_way_home_is_checked() -> None:
    sql = SQL.model_copy(update={"software": ["sql-server-2016", "windows-server-2016", "sql-server-2022"]})
    workloads = PLAN.recovery.workloads | {"sql": sql}
    plan = PLAN.model_copy(
        update={
            "recovery": PLAN.recovery.model_copy(update={"workloads": workloads}),
            "failback": PLAN.failback.model_copy(update={"way": "machines"}),
        }
    )
    facts = ReadinessFacts.model_validate(good())
    sentences = {finding.subject: finding.found for finding in findings(plan, "primary", NOW, facts)}
    assert sentences == {
        "sql/sql-server-2016": "Microsoft's support of SQL Server 2016 on sql ended on 2026-07-14.",
        "sql/windows-server-2016": "Microsoft's support of Windows Server 2016 on sql ended on 2027-01-12.",
        "failback": "The plan does not say that the way home is licensed (failback.licensed).",
    }


def size(name: str, **changes: Any) -> dict[str, Any]:
    return {"sizes": good()["sizes"] | {name.lower(): SizeView(family="f", cores=4).model_copy(update=changes)}}


FIRST = SQL.sizes[0]
BLIND = Evidence(signal="vpn", path="private", state="no_data", counts_as="no_data", detail="the login was refused")


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"routing": Routing(primary=OFF, recovery=OFF)}, ("blocker", "primary_disabled", "on-premises")),
        ({"routing": Routing(primary=WELL, recovery=WELL)}, ("blocker", "recovery_enabled", "azure")),
        (
            {"routing": Routing(primary=WELL.model_copy(update={"monitor": "Degraded"}), recovery=OFF)},
            ("warning", "primary_not_online", "on-premises"),
        ),
        ({"profile": PROFILE.model_copy(update={"ttl": 300})}, ("warning", "ttl", "contoso.trafficmanager.net")),
        (
            {"profile": PROFILE.model_copy(update={"routing_method": "Weighted"})},
            ("blocker", "routing_method", "contoso.trafficmanager.net"),
        ),
        (
            {"profile": PROFILE.model_copy(update={"notices_after": 130.0})},
            ("warning", "probe", "contoso.trafficmanager.net"),
        ),
        ({"missing_rights": {"replica": ["Microsoft.Compute/disks/read"]}}, ("blocker", "right", "replica")),
        (nic("failover", dns_servers=["10.1.0.53", "168.63.129.16"]), ("warning", "resolver", "sql/failover")),
        ({"follows": {"shop.contoso.example": False}}, ("blocker", "name", "shop.contoso.example")),
        ({"interfaces": {}}, ("blocker", "interface", "sql/failover")),
        (nic("failover", address="10.9.9.9"), ("blocker", "address", "sql/failover")),
        (
            nic("drill", machine="/subscriptions/s/resourceGroups/g/providers/a/virtualMachines/x"),
            ("blocker", "interface_in_use", "sql/drill"),
        ),
        (size(FIRST, restricted="NotAvailableForSubscription"), ("warning", "size", f"sql/{FIRST}")),
        (size(FIRST, premium=False), ("warning", "size", f"sql/{FIRST}")),
        (size(FIRST, generations=["V1"]), ("warning", "size", f"sql/{FIRST}")),
        (size(FIRST, data_disks=0), ("warning", "size", f"sql/{FIRST}")),
        ({"sizes": {}}, ("blocker", "no_size", "sql")),
        ({"quotas": {"cores": Quota(used=15, limit=20)}}, ("blocker", "quota", "cores")),
        ({"newest_point": None}, ("warning", "points", "recovery points")),
        ({"newest_point": NOW - timedelta(hours=3)}, ("warning", "points", "recovery points")),
        ({"missing_settings": ["SQL_PROBE"]}, ("blocker", "setting", "SQL_PROBE")),
        ({"evidence": [BLIND]}, ("warning", "blind_check", "vpn")),
        ({"standing": ["contoso-d1"]}, ("warning", "occupied", "recovery group")),
        ({"last_drill": None}, ("warning", "drill", "drill")),
        ({"last_drill": NOW - timedelta(days=200)}, ("warning", "drill", "drill")),
        ({"drill_is_of_this_plan": False}, ("warning", "drill", "drill")),
        ({"delivered": {}}, ("warning", "notification", "NOTIFY_URL")),
        ({"delivered": {"NOTIFY_URL": NOW - timedelta(days=91)}}, ("warning", "notification", "NOTIFY_URL")),
        ({"quotas": None, "unread": {"the quotas": "403"}}, ("warning", "unread", "the quotas")),
    ],
)
def test_each_fault_is_found(changes: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert expected in found(**changes)


def test_data_of_unknown_age_block_automatic_mode() -> None:
    assert ("blocker", "data", "replica") in found(data_until=None)
    assert ("blocker", "data", "replica") in found(data_until=NOW - timedelta(hours=5))


def test_every_finding_says_why_it_matters_and_how_to_fix_it() -> None:
    facts = ReadinessFacts.model_validate(good() | {"interfaces": {}, "sizes": {}, "profile": SLOW, "last_drill": None})
    for finding in findings(PLAN, "primary", None, facts):
        assert finding.found.endswith(".")
        assert finding.why.endswith(".")
        assert finding.fix.endswith((".", "runs one."))


def test_the_machines_that_serve_from_azure_are_no_fault() -> None:
    changes = nic("failover", machine="/subscriptions/s/resourceGroups/g/providers/a/virtualMachines/sql")
    facts = ReadinessFacts.model_validate(good() | changes | {"routing": Routing(primary=OFF, recovery=WELL)})
    assert findings(PLAN, "recovery", NOW, facts) == []
