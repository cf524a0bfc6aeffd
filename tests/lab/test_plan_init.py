"""`coldsite plan init` against a running lab: it reads the templates' resources and writes a valid plan."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.discover import Disk, Interface, UnclearError, machines_of
from shared.models.plan import RecoveryPlan
from shared.models.resource_ids import take_apart
from shared.plans.loader import load_plan
from tests.app.api import Api
from tests.plans import contoso


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """Housekeeping is off: it calls the replication machine, and only the command's calls may be seen."""
    with Api(None, "housekeeping") as api:
        yield api


def init(api: Api, folder: Path, answers: str, name: str = "shop") -> subprocess.CompletedProcess[str]:
    lab = api.lab
    settings = {
        "IDENTITY_ENDPOINT": lab.front.identity_url,
        "IDENTITY_HEADER": lab.identity.person_header,
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        "REQUESTS_CA_BUNDLE": str(lab.ca_bundle),
        "COLDSITE_RESOURCE_MANAGER": lab.front.url,
    }
    subscription = take_apart(lab.plan.recovery.resource_group).subscription
    words = [sys.executable, "-m", "cli", "plan", "init", name, "--subscription", subscription, "--folder", str(folder)]
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "200"} | settings
    return subprocess.run(
        words, input=answers, capture_output=True, text=True, env=environment, timeout=60, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(api: Api, tmp_path_factory: pytest.TempPathFactory) -> tuple[RecoveryPlan, str]:
    folder = tmp_path_factory.mktemp("plans")
    done = init(api, folder, "1\nContoso web shop\n\n\nOrders\n10.1.0.5\n")
    assert done.returncode == 0, done.stdout + done.stderr
    return load_plan(folder / "shop.yaml"), done.stdout


def test_the_plan_names_the_places_that_contosos_plan_names(written: tuple[RecoveryPlan, str]) -> None:
    plan, wanted = written[0], contoso()
    assert (plan.traffic.profile, plan.traffic.hostname) == (wanted.traffic.profile, wanted.traffic.hostname)
    assert (plan.traffic.primary, plan.traffic.recovery) == (wanted.traffic.primary, wanted.traffic.recovery)
    assert plan.replication.machine == wanted.replication.machine
    assert (plan.recovery.resource_group, plan.recovery.location) == (
        wanted.recovery.resource_group,
        wanted.recovery.location,
    )
    for name, workload in wanted.recovery.workloads.items():
        found = plan.recovery.workloads[name]
        assert (found.disks, found.nic, found.address) == (workload.disks, workload.nic, workload.address)
        assert found.depends_on == workload.depends_on


def test_the_plan_only_observes_and_must_earn_its_trust(written: tuple[RecoveryPlan, str]) -> None:
    detection = written[0].detection
    assert detection.mode == "observe"
    assert detection.trust
    assert detection.paths == {"public", "private"}


def test_it_says_what_azd_needs_to_know(written: tuple[RecoveryPlan, str]) -> None:
    printed = written[1]
    for line in (
        "COLDSITE_PLAN shop",
        "COLDSITE_EDGE_GROUP_NAME contoso-edge",
        "COLDSITE_PRIMARY_ENDPOINT on-premises",
    ):
        assert f"azd env set {line}" in printed
    assert "vnet-contoso-failover" in printed


def test_it_asks_at_most_eight_questions(written: tuple[RecoveryPlan, str]) -> None:
    assert written[1].count("?") <= 8


def test_a_plan_that_is_there_is_not_written_over(api: Api, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text("mine\n")
    done = init(api, tmp_path, "1\n\n\n\n\n\n")
    assert (done.returncode, (tmp_path / "shop.yaml").read_text()) == (2, "mine\n")
    assert "already exists" in done.stderr


def test_an_answer_that_makes_no_plan_leaves_nothing_behind(api: Api, tmp_path: Path) -> None:
    """The probe of the primary would follow the customers to the recovery site."""
    done = init(api, tmp_path, "1\n\n\n\nOrders\ncontoso.trafficmanager.net\n")
    assert done.returncode == 2
    assert "follow the customers" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_any_title_is_only_a_title(api: Api, tmp_path: Path) -> None:
    done = init(api, tmp_path, '1\nThe "shop": [100 %] # {x}\n\n\nOrders\n10.1.0.5\n')
    assert done.returncode == 0, done.stderr
    assert load_plan(tmp_path / "shop.yaml").title == 'The "shop": [100 %] # {x}'


def test_reading_changes_nothing_in_azure(api: Api) -> None:
    assert api.writes() == {}


# Every mismatch is reported


GROUP = "/subscriptions/s/resourceGroups/g/providers"


def disk(name: str, system: str | None = None) -> Disk:
    return Disk(f"{GROUP}/Microsoft.Compute/disks/{name}", system, "V2")


def nic(name: str, taken: bool = False) -> Interface:
    return Interface(f"{GROUP}/Microsoft.Network/networkInterfaces/{name}", "10.0.0.4", "net/subnets/machines", taken)


def test_everything_that_is_missing_is_named_at_once() -> None:
    disks = (disk("dt-web-data"), disk("dt-sql-os", "Windows"), disk("dt-sql-data-2"))
    with pytest.raises(UnclearError) as caught:
        machines_of(disks, (nic("sql-failover"), nic("sql-drill", taken=True), nic("web-failover")))
    problem = str(caught.value)
    assert "web: 0 of its disks hold an operating system" in problem
    assert "sql-drill" in problem
    assert "web-drill" in problem


def test_disks_are_grouped_by_the_machine_that_their_names_tell() -> None:
    disks = (disk("dt-sql-os", "Windows"), disk("dt-sql-data"), disk("dt-sql-log-1"), disk("web01-os", "Linux"))
    nics = tuple(nic(f"{name}-{role}") for name in ("sql", "web01") for role in ("failover", "drill"))
    found = machines_of(disks, nics)
    assert [(m.name, len(m.data), m.is_database) for m in found] == [("sql", 2, True), ("web01", 0, False)]
