"""Plan files: what loads, and what is refused with file, key, value and what was expected."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from shared.errors import PlanError
from shared.plan_file import SCRIPTS, build_plan, load_plan, load_plans, read_yaml
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
    ("cycle of two", {f"{SQL}.depends_on": {"iis": "created"}}, "recovery.workloads", ["circle", "sql -> iis -> sql"]),
    ("cycle of one", {f"{IIS}.depends_on": {"iis": "healthy"}}, "recovery.workloads", ["circle", "iis -> iis"]),
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
        ["azure_health and role: recovery belong together"],
    ),
    (
        "Azure's health as control",
        {f"{SIGNALS}.azure.role": "control"},
        f"{SIGNALS}.azure",
        ["azure_health and role: recovery belong together"],
    ),
    *[
        (
            f"{source} about the recovery region",
            {f"{SIGNALS}.azure": {"role": "recovery", "path": "public", source: fields}},
            f"{SIGNALS}.azure",
            ["azure_health and role: recovery belong together"],
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
    ("plan's name", {"name": "Contoso Web"}, "name", ["'Contoso Web'", "does not look like"]),
    (
        "setting's name",
        {f"{SIGNALS}.vpn.sql.credential": "user:pw"},
        f"{SIGNALS}.vpn.sql.credential",
        ["does not look like"],
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mode: observe\nmode: automatic\n", "key 'mode' stands twice (line 2)"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "key 'b' stands twice (line 4)"),
        ("a: {b: 1, b: 2}\n", "key 'b' stands twice"),
        ("a: [1\n", "line 2"),
        ("a: 1\n  b: 2\n", "line 2"),
        ("a: !!python/object/apply:os.getcwd []\n", "tag"),
        ("a: 1\n---\nb: 2\n", "single document"),
        ("? [a, b]\n: 1\n", "is not YAML"),
    ],
)
def test_refuses_what_is_not_plain_yaml(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(PlanError) as caught:
        read_yaml(file)
    assert str(caught.value).startswith(f"{file}: is not YAML: ")
    assert says in str(caught.value)


def test_refuses_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(PlanError, match=r"bad\.yaml: is not UTF-8\. Save it as UTF-8 .*; line 1 holds a letter"):
        load_plan(tmp_path / "bad.yaml")


def test_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"none\.yaml: cannot be read: No such file"):
        load_plan(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [("on: off", {"on": "off"}), ("yes: no", {"yes": "no"}), ("a: true\nb: false", {"a": True, "b": False})],
)
def test_on_off_yes_and_no_are_words_and_true_and_false_booleans(tmp_path: Path, text: str, value: Any) -> None:
    (tmp_path / "words.yaml").write_text(text)
    assert read_yaml(tmp_path / "words.yaml") == value


# The files beside the plan


def test_refuses_a_plan_whose_query_is_missing(folder: Path) -> None:
    (folder / "contoso" / "heartbeat.kql").unlink()
    with pytest.raises(PlanError, match=r"heartbeat\.logs\.query: 'heartbeat\.kql' is not a file in .*contoso"):
        load_plan(folder / "contoso.yaml")


@pytest.mark.parametrize("script", SCRIPTS)
def test_refuses_a_plan_whose_script_is_missing(folder: Path, script: str) -> None:
    (folder / "contoso" / f"{script}.ps1").unlink()
    with pytest.raises(PlanError) as caught:
        load_plan(folder / "contoso.yaml")
    assert caught.value.problems == [f"replication.scripts: 'contoso' holds no {script}.ps1"]


@pytest.mark.parametrize("query", ["../../outside.kql", "../contoso.yaml", "{outside}", "link.kql"])
def test_refuses_a_query_outside_the_plans_folder(folder: Path, query: str) -> None:
    outside = folder.parent / "outside.kql"
    outside.write_text("Heartbeat")
    (folder / "contoso" / "link.kql").symlink_to(outside)
    name = query.format(outside=outside)
    with pytest.raises(PlanError, match=r"signals\.heartbeat\.logs\.query: .* is not a file in"):
        build_plan(contoso_data({f"{SIGNALS}.heartbeat.logs.query": name}), folder / "contoso.yaml")


@pytest.mark.parametrize("scripts", ["../outside", "contoso/../../outside", "{outside}"])
def test_refuses_scripts_outside_the_plans_folder(folder: Path, scripts: str) -> None:
    outside = Path(shutil.copytree(folder / "contoso", folder.parent / "outside"))
    name = scripts.format(outside=outside)
    with pytest.raises(PlanError, match=r"replication\.scripts: .* holds no freeze\.ps1"):
        build_plan(contoso_data({"replication.scripts": name}), folder / "contoso.yaml")


def test_one_bad_plan_of_a_folder_stops_the_start(folder: Path) -> None:
    (folder / "zebra.yaml").write_text("name: zebra\n")
    with pytest.raises(PlanError, match=r"zebra\.yaml: traffic: is missing"):
        load_plans(folder)


def test_refuses_two_plans_of_one_name(folder: Path) -> None:
    shutil.copy(folder / "contoso.yaml", folder / "zebra.yaml")
    with pytest.raises(PlanError, match=r"zebra\.yaml: name: 'contoso' is already another plan's name"):
        load_plans(folder)


# Files that Windows' tools have saved

FILES = ["contoso.yaml", "contoso/heartbeat.kql", *(f"contoso/{script}.ps1" for script in SCRIPTS)]


@pytest.mark.parametrize("name", FILES)
def test_the_mark_that_notepad_puts_in_front_is_no_part_of_the_text(folder: Path, name: str) -> None:
    before = load_plan(folder / "contoso.yaml")
    (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    assert load_plan(folder / "contoso.yaml") == before


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", FILES)
def test_a_file_in_utf_16_is_refused_by_its_name_and_told_how_to_save_it(
    folder: Path, name: str, encoding: str
) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    (folder / name).write_bytes(mark + (folder / name).read_text(encoding="utf-8").encode(encoding))
    with pytest.raises(PlanError, match=r"is UTF-16, and not UTF-8\. Save it as UTF-8") as caught:
        load_plan(folder / "contoso.yaml")
    assert str(caught.value).startswith(f"{folder / name}: ")


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_a_letter_of_another_encoding_is_refused_by_its_name_and_line(folder: Path, name: str) -> None:
    lines = (folder / name).read_bytes().count(b"\n")
    (folder / name).write_bytes((folder / name).read_bytes() + "# Größe\n".encode("cp1252"))
    with pytest.raises(PlanError, match=rf"is not UTF-8\..*; line {lines + 1} holds a letter") as caught:
        load_plan(folder / "contoso.yaml")
    assert str(caught.value).startswith(f"{folder / name}: ")


# What Azure would refuse on the worst night

NETWORK = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network"
PROFILE = "Microsoft.Network/trafficManagerProfiles"
HTTP, VERIFY = f"{SIGNALS}.public.http", "traffic.verify.0.http"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        pytest.param(f"{SQL}.storage", "PremiumV2_LRS", "'PremiumV2_LRS' is not one of Premium_LRS", id="Premium v2"),
        pytest.param(f"{SQL}.storage", "UltraSSD_LRS", "is not one of", id="Ultra"),
        pytest.param(f"{SQL}.storage", "Premium_LSR", "is not one of", id="storage misspelt"),
        pytest.param(f"{SQL}.sizes", ["D8s_v5"], "does not look like", id="size without its tier"),
        pytest.param(f"{SQL}.sizes", ["Standard D8s_v5"], "does not look like", id="size with a blank"),
        pytest.param(f"{SQL}.zones", ["4"], "is not one of 1, 2, 3", id="zone"),
        pytest.param("recovery.location", "West Europe", "does not look like", id="location as the portal shows it"),
        pytest.param("recovery.resource_group", DISK, "does not look like", id="a disk as the group"),
        pytest.param("recovery.tags", {"coldsite-run": "x"}, "Coldsite's own tags", id="a tag of Coldsite's own"),
        pytest.param("recovery.tags", {"a/b": "x"}, "does not look like", id="a tag that Azure does not take"),
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
        pytest.param("traffic.hostname", "https://contoso.trafficmanager.net", "does not look like", id="a URL"),
        pytest.param(f"{HTTP}.host", "shop.contoso.example:443", "does not look like", id="a host with a port"),
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
        "detection.cooldown: 31m is longer than objectives.recovery_time (30m): a second outage would not be looked at "
        "in time"
    ]
    assert build_plan(contoso_data({"detection.cooldown": "30m"}), CONTOSO)


def test_automatic_without_scripts_is_refused_since_the_age_of_the_data_is_never_known() -> None:
    (problem,) = refused({"replication.scripts": REMOVED}).problems
    assert problem.startswith("replication.scripts: is missing. Without status.ps1 the age of the data is never known")


@pytest.mark.parametrize(
    ("schedule", "says"),
    [("0 0 3 30 2 *", "is a date that never comes"), ("R R R * * *", SCHEDULE)],
    ids=["never", "random"],
)
def test_a_schedule_that_is_grammatical_and_impossible_is_refused(schedule: str, says: str) -> None:
    (problem,) = refused({"drill.schedule": schedule}).problems
    assert problem.startswith(f"drill.schedule: '{schedule}' {says}")


@pytest.mark.parametrize("zone", ["localtime", "posixrules", "Factory"])
def test_a_time_zone_that_depends_on_the_machine_is_refused(zone: str) -> None:
    assert any(line.startswith(f"time_zone: '{zone}' ") for line in refused({"time_zone": zone}).problems)
