"""Run ids and the names made from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.ids import Kind, disk_name, machine_name, new_run_id, parse_run_id, set_id, snapshot_name

PLAN_NAMES = st.from_regex(r"[a-z][a-z0-9]{0,30}(-[a-z0-9]+)*", fullmatch=True).filter(lambda name: len(name) <= 40)
KINDS = st.sampled_from(["failover", "drill", "failback"])
TIMES = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2199, 12, 31), timezones=st.just(UTC))
RUN = "contoso-f20270115200000123-0a1b"


@given(PLAN_NAMES, KINDS, TIMES)
def test_a_run_id_reads_back_to_its_plan_kind_and_time(plan: str, kind: Kind, now: datetime) -> None:
    name = parse_run_id(new_run_id(plan, kind, now))
    assert name is not None
    assert (name.plan, name.kind) == (plan, kind)
    read = datetime.strptime(name.at + "000", "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    assert timedelta(0) <= now - read < timedelta(milliseconds=1)


@given(st.lists(TIMES.map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)), min_size=2, unique=True))
def test_row_keys_sort_the_newest_run_first(times: list[datetime]) -> None:
    keys = {}
    for time in times:
        name = parse_run_id(new_run_id("contoso", "drill", time))
        assert name is not None
        keys[name.row_key] = time
    assert [keys[key] for key in sorted(keys)] == sorted(times, reverse=True)


def test_two_runs_of_one_moment_differ() -> None:
    now = datetime(2027, 1, 15, 20, 0, tzinfo=UTC)
    assert len({new_run_id("contoso", "drill", now) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "contoso",
        RUN[:-1],
        RUN + "0",
        RUN + "\n",
        " " + RUN,
        RUN + ":sql:1",
        RUN.upper(),
        RUN.replace("-f", "-x"),
        RUN.replace("0a1b", "0A1B"),
        RUN.replace("0a1b", "wxyz"),
        RUN.replace("contoso", ""),
        RUN.replace("contoso", "1contoso"),
        RUN.replace("contoso", "con/toso"),
        RUN.replace("contoso", "con'toso"),
        RUN.replace("contoso", "../toso"),
        RUN.replace("contoso", "c" * 41),
        RUN.replace("20270115", "2027011"),
        RUN.replace("20270115", "٢٠٢٧٠١١٥"),
    ],
)
def test_refuses_what_cannot_be_a_run_id(odd: str) -> None:
    assert parse_run_id(odd) is None


def test_resources_are_named_from_run_and_workload() -> None:
    assert machine_name(RUN, "sql") == "sql-f270115200000-0a1b"
    assert disk_name(RUN, "sql", "data0") == "sql-data0-f270115200000-0a1b"
    assert set_id(RUN, 1) == "set-f270115200000-0a1b"
    assert snapshot_name(set_id(RUN, 1), "sql", "os") == "sql-os-set-f270115200000-0a1b"


@given(KINDS, TIMES)
def test_names_fit_azure_for_the_longest_workload(kind: Kind, now: datetime) -> None:
    run = new_run_id("contoso", kind, now)
    workload = "w" * 31
    assert len(machine_name(run, workload)) <= 64
    assert len(disk_name(run, workload, "data63")) <= 80
    assert len(snapshot_name(set_id(run, 1), workload, "data63")) <= 80
