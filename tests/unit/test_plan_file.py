"""Plan files: what loads, and what is refused with file, key, value and what was expected."""

from __future__ import annotations

from typing import Any

import pytest

from shared.models.errors import PlanError
from shared.plans.loader import build_plan
from tests.plans import CONTOSO, REMOVED, contoso, contoso_data

SQL, IIS = "recovery.workloads.sql", "recovery.workloads.iis"
SIGNALS = "detection.signals"
DISK = "/subscriptions/s/resourceGroups/contoso-replica/providers/Microsoft.Compute/disks/shared"
SQL_OS_DISK = contoso().recovery.workloads["sql"].disks.os
SQL_NIC = contoso().recovery.workloads["sql"].nic.failover
IIS_NIC = contoso().recovery.workloads["iis"].nic.failover
UNIT = "needs a number with a unit: ms, s, m, h or d, for example 90s or 1h30m"
SCHEDULE = "is not a schedule of six fields"
FOLLOWS = "would follow"


def refused(changes: dict[str, Any]) -> PlanError:
    with pytest.raises(PlanError) as caught:
        build_plan(contoso_data(changes), CONTOSO)
    return caught.value


def window(start: str, end: str) -> dict[str, list[dict[str, str]]]:
    return {"pause": [{"start": start, "end": end, "reason": "patching"}]}


REFUSED: list[tuple[str, dict[str, Any], str, list[str]]] = [
    # unknown keys
    (
        "key misspelt",
        {"detection.confirmfor": "90s"},
        "detection.confirmfor",
        ["unknown key", "did you mean confirm_for?"],
    ),
    ("key misspelt at the top", {"recovry": {}}, "recovry", ["unknown key", "did you mean recovery?"]),
    ("key misspelt in a workload", {f"{SQL}.adress": {}}, f"{SQL}.adress", ["did you mean address?"]),
    ("key misspelt in a list", {"traffic.verify.0.http.pth": "/"}, "traffic.verify.0.http.pth", ["did you mean path?"]),
    ("key like none", {"objectives.zzz": 1}, "objectives.zzz", ["unknown key", "recovery_time, recovery_point"]),
    (
        "key misspelt in a signal that is named like a field",
        {f"{SIGNALS}.sql": {"rol": "control", "traffic_manager": {}}},
        f"{SIGNALS}.sql.rol",
        ["did you mean role?"],
    ),
    ("texts that only the loader fills", {"query_texts": {"a.kql": "b"}}, "query_texts", ["unknown key"]),
    (
        "an age of nothing",
        {f"{SIGNALS}.heartbeat.logs.stale_after": "0s"},
        f"{SIGNALS}.heartbeat.logs.stale_after",
        ["5m"],
    ),
    ("confirmed at once", {"detection.confirm_for": "0s"}, "detection.confirm_for", ["single check", "90s"]),
    ("a Windows license on Linux", {f"{SQL}.os": "linux"}, f"{SQL}.license", ["for Windows", "remove it"]),
    ("too many tags", {"recovery.tags": {f"t{n}": "v" for n in range(41)}}, "recovery.tags", ["at most 40"]),
    # safety words
    ("mode", {"detection.mode": "automattic"}, "detection.mode", ["'automattic'", "observe, approve, automatic"]),
    ("mode a boolean", {"detection.mode": True}, "detection.mode", ["True", "observe, approve, automatic"]),
    ("approval", {"detection.approval.then": "procede"}, "detection.approval.then", ["'procede'", "expire, proceed"]),
    ("trust", {"detection.trust": "of"}, "detection.trust", ["'of'", "off"]),
    ("trust by half", {"detection.trust": {"drill_within": "90d"}}, "detection.trust.observed_for", ["is missing"]),
    ("trust left out", {"detection.trust": REMOVED}, "detection.trust", ["is missing"]),
    ("role", {f"{SIGNALS}.observer.role": "controll"}, f"{SIGNALS}.observer.role", ["'controll'", "evidence, control"]),
    ("no data", {f"{SIGNALS}.vpn.no_data": "dwn"}, f"{SIGNALS}.vpn.no_data", ["'dwn'", "down, ignored"]),
    ("private path, the veto's", {f"{SIGNALS}.vpn.path": "privat"}, f"{SIGNALS}.vpn.path", ["'privat'", "private"]),
    ("sign-off", {"failback.sign_off": "no"}, "failback.sign_off", ["'no'", "required, off"]),
    ("notification", {"notify.0.on": ["startet"]}, "notify.0.on.0", ["'startet'", "started, decided"]),
    # the graph
    (
        "cycle of two",
        {f"{SQL}.depends_on": {"iis": "created"}},
        "recovery.workloads",
        ["circular", "sql -> iis -> sql"],
    ),
    ("cycle of one", {f"{IIS}.depends_on": {"iis": "healthy"}}, "recovery.workloads", ["circular", "iis -> iis"]),
    ("dependency unknown", {f"{IIS}.depends_on": {"sqll": "healthy"}}, f"{IIS}.depends_on", ["'sqll'", "iis, sql"]),
    ("dependency's word", {f"{IIS}.depends_on": {"sql": "up"}}, f"{IIS}.depends_on.sql", ["'up'", "healthy, created"]),
    # places
    ("nic missing", {f"{SQL}.nic": REMOVED}, f"{SQL}.nic", ["is missing"]),
    ("drill nic missing", {f"{SQL}.nic.drill": REMOVED}, f"{SQL}.nic.drill", ["is missing"]),
    (
        "address of another workload",
        {f"{IIS}.address.failover": "10.20.1.5"},
        f"{IIS}.address.failover",
        ["'10.20.1.5'", f"already {SQL}.address.failover's"],
    ),
    (
        "drill and failover share an address",
        {f"{IIS}.address.drill": "10.20.1.4"},
        f"{IIS}.address.drill",
        ["'10.20.1.4'", f"already {IIS}.address.failover's"],
    ),
    (
        "nic of another workload",
        {f"{IIS}.nic.failover": SQL_NIC},
        f"{IIS}.nic.failover",
        [SQL_NIC, f"already {SQL}.nic.failover's"],
    ),
    (
        "nic in other letters",
        {f"{IIS}.nic.drill": SQL_NIC.upper()},
        f"{IIS}.nic.drill",
        [f"already {SQL}.nic.failover's"],
    ),
    (
        "drill and failover share a nic",
        {f"{IIS}.nic.drill": IIS_NIC},
        f"{IIS}.nic.drill",
        [f"already {IIS}.nic.failover's"],
    ),
    (
        "disk of another workload",
        {f"{IIS}.disks.os": SQL_OS_DISK},
        f"{IIS}.disks",
        [SQL_OS_DISK, f"already {SQL}.disks's"],
    ),
    ("disk twice", {f"{IIS}.disks": {"os": DISK, "data": [{"lun": 0, "disk": DISK}]}}, f"{IIS}.disks", [DISK]),
    (
        "disk twice in other letters",
        {f"{IIS}.disks": {"os": DISK, "data": [{"lun": 0, "disk": DISK.replace("shared", "SHARED")}]}},
        f"{IIS}.disks",
        ["already"],
    ),
    (
        "LUN twice",
        {f"{SQL}.disks.data": [{"lun": 1, "disk": DISK}, {"lun": 1, "disk": DISK + "2"}]},
        f"{SQL}.disks.data",
        ["two disks have one LUN"],
    ),
    ("not a resource id", {f"{IIS}.disks.os": "dt-iis-os"}, f"{IIS}.disks.os", ["'dt-iis-os'", "subscriptions"]),
    (
        "one endpoint for both sites",
        {"traffic.recovery.endpoint": "on-premises"},
        "traffic.recovery.endpoint",
        ["'on-premises'"],
    ),
    # durations
    ("no unit", {"detection.confirm_for": 90}, "detection.confirm_for", ["90", UNIT]),
    ("no unit in quotes", {f"{SQL}.boot_timeout": "30"}, f"{SQL}.boot_timeout", ["'30'", UNIT]),
    ("beyond counting", {"detection.cooldown": "99999999999d"}, "detection.cooldown", ["99999999999d"]),
    (
        "deadline too short",
        {"detection.confirm_deadline": "90s"},
        "detection.confirm_deadline",
        ["longer than confirm_for"],
    ),
    (
        "sooner than two checks",
        {"detection.confirm_when_all": "5s"},
        "detection.confirm_when_all",
        ["5s is not between interval (10s)", "confirm_for (90s)"],
    ),
    (
        "sooner, and longer",
        {"detection.confirm_when_all": "2m"},
        "detection.confirm_when_all",
        ["2m is not between"],
    ),
    (
        "all of two paths",
        {"detection.confirm_when_all": "45s", f"{SIGNALS}.heartbeat": REMOVED},
        "detection.confirm_when_all",
        ["at least three paths"],
    ),
    # probes that would follow the customers
    (
        "signal: nowhere",
        {f"{SIGNALS}.public.http.connect_to": REMOVED},
        f"{SIGNALS}.public.http.connect_to",
        ["missing", FOLLOWS],
    ),
    ("signal: empty", {f"{SIGNALS}.public.http.connect_to": ""}, f"{SIGNALS}.public.http.connect_to", []),
    (
        "verify: nowhere",
        {"traffic.verify.0.http.connect_to": REMOVED},
        "traffic.verify.0.http.connect_to",
        ["missing", FOLLOWS],
    ),
    *[
        (
            f"signal: {name}",
            {f"{SIGNALS}.public.http.connect_to": name},
            f"{SIGNALS}.public.http.connect_to",
            [name, "traffic.hostname", FOLLOWS],
        )
        for name in (
            "contoso.trafficmanager.net",
            "contoso.trafficmanager.net:443",
            "Contoso.TrafficManager.net",
            "contoso.trafficmanager.net.",
        )
    ],
    (
        "verify: hostname",
        {"traffic.verify.0.http.connect_to": "contoso.trafficmanager.net"},
        "traffic.verify.0.http.connect_to",
        ["traffic.hostname"],
    ),
    (
        "sql signal: hostname",
        {f"{SIGNALS}.vpn.sql.server": "contoso.trafficmanager.net"},
        f"{SIGNALS}.vpn.sql.server",
        ["traffic.hostname"],
    ),
    ("sql signal: nowhere", {f"{SIGNALS}.vpn.sql.server": REMOVED}, f"{SIGNALS}.vpn.sql.server", ["missing"]),
    *[
        (
            f"sql signal: a recovery machine of {workload}",
            {f"{SIGNALS}.vpn.sql.server": address},
            f"{SIGNALS}.vpn.sql.server",
            [f"'{address}'", "is a recovery machine's address"],
        )
        for workload, address in (("sql", "10.20.1.5"), ("iis", "10.20.1.4"))
    ],
    # evidence
    (
        "automatic with one path",
        {"detection.signals": {"traffic": {"path": "public", "traffic_manager": {}}}, "detection.quorum": 1},
        "detection.mode",
        ["'automatic'", "at least two paths", "public"],
    ),
    (
        "quorum beyond the paths",
        {"detection.quorum": 4},
        "detection.quorum",
        ["4", "3 paths", "agent, private, public"],
    ),
    ("quorum of none", {"detection.quorum": 0}, "detection.quorum", ["0", "greater than or equal to 1"]),
    ("signal without a path", {f"{SIGNALS}.vpn.path": REMOVED}, f"{SIGNALS}.vpn", ["needs a path"]),
    ("signal of two sources", {f"{SIGNALS}.vpn.traffic_manager": {}}, f"{SIGNALS}.vpn", ["exactly one of http, sql"]),
    (
        "Azure's health as evidence",
        {f"{SIGNALS}.azure": {"path": "public", "azure_health": {}}},
        f"{SIGNALS}.azure",
        ["azure_health and role: recovery require each other"],
    ),
    (
        "Azure's health as control",
        {f"{SIGNALS}.azure.role": "control"},
        f"{SIGNALS}.azure",
        ["azure_health and role: recovery require each other"],
    ),
    *[
        (
            f"{source} about the recovery region",
            {f"{SIGNALS}.azure": {"role": "recovery", "path": "public", source: fields}},
            f"{SIGNALS}.azure",
            ["azure_health and role: recovery require each other"],
        )
        for source, fields in (("traffic_manager", {}), ("http", {"connect_to": "OBSERVER_ADDRESS"}))
    ],
    (
        "Azure's health with a region",
        {f"{SIGNALS}.azure.azure_health": {"region": "westeurope"}},
        f"{SIGNALS}.azure.azure_health.region",
        ["unknown key"],
    ),
    ("latch again", {"traffic.latch_again": "perhaps"}, "traffic.latch_again", ["'perhaps'"]),
    ("probe of no kind", {f"{SQL}.probes": [{}]}, f"{SQL}.probes.0", ["exactly one of http, sql"]),
    # time
    ("time zone", {"time_zone": "Europe/Amsterdamn"}, "time_zone", ["'Europe/Amsterdamn'", "Europe/Amsterdam"]),
    ("time zone by half", {"time_zone": "Europe"}, "time_zone", ["'Europe'", "is not a time zone"]),
    ("time zone a path", {"time_zone": "../../etc/passwd"}, "time_zone", ["is not a time zone"]),
    ("five fields", {"drill.schedule": "0 3 1 1 *"}, "drill.schedule", ["'0 3 1 1 *'", SCHEDULE]),
    ("seven fields", {"drill.schedule": "0 0 3 1 1 * *"}, "drill.schedule", [SCHEDULE]),
    ("hour 25", {"drill.schedule": "0 0 25 1 1 *"}, "drill.schedule", ["'0 0 25 1 1 *'", SCHEDULE]),
    ("window ends first", window("2027-01-15T20:00:00Z", "2027-01-15T19:00:00Z"), "pause.0", ["ends before it starts"]),
    ("window without a zone", window("2027-01-15T19:00:00", "2027-01-15T20:00:00"), "pause.0", ["need a time zone"]),
    ("window with half a zone", window("2027-01-15T19:00:00", "2027-01-15T20:00:00Z"), "pause.0", ["need a time zone"]),
    # names
    ("plan's name", {"name": "Contoso Web"}, "name", ["'Contoso Web'", "does not match"]),
    (
        "setting's name",
        {f"{SIGNALS}.vpn.sql.credential": "user:pw"},
        f"{SIGNALS}.vpn.sql.credential",
        ["is not the name of an app setting"],
    ),
]


@pytest.mark.parametrize(("changes", "key", "says"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_refuses_a_bad_plan_and_names_file_key_value_and_what_was_expected(
    changes: dict[str, Any], key: str, says: list[str]
) -> None:
    error = refused(changes)
    lines = [line for line in error.problems if line.startswith(f"{key}: ")]
    assert lines, f"no problem is about {key}: {error.problems}"
    assert [part for part in says if not any(part in line for line in lines)] == [], lines
    assert all(line.startswith(f"{CONTOSO}: ") for line in str(error).splitlines())


def test_names_every_problem_at_once() -> None:
    error = refused({"detection.mode": "auto", "detection.interval": 10, f"{SQL}.nic": REMOVED, "titel": "x"})
    keys = {line.split(":")[0] for line in error.problems}
    assert keys == {"detection.mode", "detection.interval", f"{SQL}.nic", "titel"}


@pytest.mark.parametrize("data", [None, [], ["name"], "contoso", 5])
def test_refuses_a_document_that_is_no_mapping(data: Any) -> None:
    with pytest.raises(PlanError, match=r"contoso\.yaml: is not a plan: expected a mapping with name"):
        build_plan(data, CONTOSO)


# Values that Azure would refuse during a failover

NETWORK = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network"
PROFILE = "Microsoft.Network/trafficManagerProfiles"
HTTP, VERIFY = f"{SIGNALS}.public.http", "traffic.verify.0.http"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        pytest.param(f"{SQL}.storage", "PremiumV2_LRS", "'PremiumV2_LRS' is not one of Premium_LRS", id="Premium v2"),
        pytest.param(f"{SQL}.storage", "UltraSSD_LRS", "is not one of", id="Ultra"),
        pytest.param(f"{SQL}.storage", "Premium_LSR", "is not one of", id="storage misspelt"),
        pytest.param(f"{SQL}.sizes", ["D8s_v5"], "is not a size of a machine", id="size without its tier"),
        pytest.param(f"{SQL}.sizes", ["Standard D8s_v5"], "is not a size of a machine", id="size with a blank"),
        pytest.param(f"{SQL}.zones", ["4"], "is not one of 1, 2, 3", id="zone"),
        pytest.param(
            "recovery.location",
            "West Europe",
            "is not a region as Azure's API spells it",
            id="location as the portal shows it",
        ),
        pytest.param("recovery.resource_group", DISK, "is not the id of a resource group", id="a disk as the group"),
        pytest.param("recovery.tags", {"coldsite-run": "x"}, "Coldsite's own tags", id="a tag of Coldsite's own"),
        pytest.param("recovery.tags", {"a/b": "x"}, "does not match", id="a tag that Azure does not take"),
        pytest.param("traffic.profile", DISK, f"is not a resource id of type {PROFILE}", id="a disk as the profile"),
        pytest.param("replication.machine", DISK, "of type Microsoft.Compute/virtualMachines", id="a disk as machine"),
        pytest.param(f"{SQL}.disks.os", SQL_NIC, "of type Microsoft.Compute/disks", id="an interface as a disk"),
        pytest.param(
            f"{SQL}.disks.data",
            [{"lun": 1, "disk": DISK.replace("disks", "snapshots")}],
            "of type Microsoft.Compute/disks",
            id="a snapshot as a disk",
        ),
        pytest.param(f"{SQL}.nic.failover", "sql-failover", "networkInterfaces", id="an interface by its name"),
        pytest.param(f"{SQL}.nic.drill", f"{NETWORK}/virtualNetworks/v", "networkInterfaces", id="a network as it"),
        pytest.param(f"{SQL}.address.failover", "10.20.1.400", "is neither an IPv4 address nor", id="no address"),
        pytest.param("traffic.hostname", "https://contoso.trafficmanager.net", "does not match", id="a URL"),
        pytest.param(f"{HTTP}.host", "shop.contoso.example:443", "does not match", id="a host with a port"),
        pytest.param(f"{HTTP}.connect_to", "127.0.0.1/health", "is neither an address", id="an address with a path"),
        pytest.param(f"{HTTP}.connect_to", "web01:99999", "is neither an address", id="a port that there is not"),
        pytest.param(f"{HTTP}.port", 80, "a probe with a host speaks TLS", id="TLS on port 80"),
        pytest.param(f"{VERIFY}.port", 80, "a probe with a host speaks TLS", id="TLS on port 80 in Azure"),
        pytest.param(f"{HTTP}.port", 70000, "less than or equal to 65535", id="port"),
    ],
)
def test_refuses_at_noon_what_azure_would_refuse_at_night(key: str, value: Any, says: str) -> None:
    lines = [line for line in refused({key: value}).problems if line.startswith(key)]
    assert [line for line in lines if says in line], refused({key: value}).problems


@pytest.mark.parametrize("machine", ["WEB01", "WEB01.CONTOSO.LOCAL", "WEB01:8443", "[2001:db8::1]:443"])
def test_a_host_in_capitals_is_an_address_and_no_setting(machine: str) -> None:
    plan = build_plan(contoso_data({f"{HTTP}.connect_to": machine}), CONTOSO)
    assert machine not in plan.settings
    assert "OBSERVER_ADDRESS" in plan.settings


def test_a_cooldown_longer_than_the_recovery_time_is_refused() -> None:
    error = refused({"detection.cooldown": "31m"})
    assert error.problems == [
        "detection.cooldown: 31m is longer than objectives.recovery_time (30m): a second outage would not be checked "
        "in time"
    ]
    assert build_plan(contoso_data({"detection.cooldown": "30m"}), CONTOSO)


def test_automatic_without_scripts_is_refused_since_the_age_of_the_data_is_never_known() -> None:
    (problem,) = refused({"replication.scripts": REMOVED}).problems
    assert problem.startswith("replication.scripts: is missing. Without status.ps1 the age of the data is never known")


@pytest.mark.parametrize(
    ("schedule", "says"),
    [("0 0 3 30 2 *", "is a date that never occurs"), ("R R R * * *", SCHEDULE)],
    ids=["never", "random"],
)
def test_a_schedule_that_is_grammatical_and_impossible_is_refused(schedule: str, says: str) -> None:
    (problem,) = refused({"drill.schedule": schedule}).problems
    assert problem.startswith(f"drill.schedule: '{schedule}' {says}")


@pytest.mark.parametrize("zone", ["localtime", "posixrules", "Factory"])
def test_a_time_zone_that_depends_on_the_machine_is_refused(zone: str) -> None:
    assert any(line.startswith(f"time_zone: '{zone}' ") for line in refused({"time_zone": zone}).problems)
