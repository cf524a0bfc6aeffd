"""The page over HTTP: strict, small, unchanged while nothing changes, and without a button for a viewer."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator

import pytest

from shared.models import ids
from tests.app.api import Api

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api(people={"ada": ["operator"], "vic": ["viewer"]}) as api:
        yield api


def test_the_page_is_small_and_allows_only_its_own_script(api: Api) -> None:
    answer = api.ask_as("ada", "GET", "/api/dashboard")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert len(answer.body) < 60_000
    assert "Contoso web shop" in answer.text


def test_the_document_is_not_sent_again_while_nothing_changes(api: Api) -> None:
    first = api.ask_as("ada", "GET", "/api/dashboard.json")
    assert list(first.json["sections"]) == ["contoso"]
    again = api.ask_as("ada", "GET", "/api/dashboard.json", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(("person", "sees"), [("ada", True), ("vic", False)])
def test_a_viewer_sees_no_button(api: Api, person: str, sees: bool) -> None:
    assert ("data-button=" in api.ask_as(person, "GET", "/api/dashboard").text) is sees


def test_what_people_write_is_text_and_never_markup(api: Api) -> None:
    body = {"for": "1h", "reason": "<script>alert(1)</script>"}
    assert api.ask_as("ada", "POST", "/api/plans/contoso/pause", body).status == 200
    text = api.ask_as("ada", "GET", "/api/dashboard").text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert(1)" not in text
    assert "PAUSED" in text
    assert re.search(r"The pause ends at [0-9]{2}:[0-9]{2} \([0-9]{2}:[0-9]{2} UTC\)", text)


def test_a_run_that_is_not_on_record_has_no_page_and_no_report(api: Api) -> None:
    for path in ("dashboard/runs/contoso-f20270115200000000-0000", "runs/contoso-f20270115200000000-0000/report"):
        api.ask_as("ada", "GET", f"/api/{path}").problem(404)


def test_the_screen_of_a_machine_is_azure_s_picture_and_only_for_those_who_may_act(api: Api) -> None:
    run_id, group = "contoso-f20270115200000000-0000", api.lab.plan.recovery.resource_group
    machine = f"{group}/providers/Microsoft.Compute/virtualMachines/{ids.machine_name(run_id, 'sql')}"
    api.on_loop(lambda: api.lab.compute.place_machine(machine, "westeurope"))
    path = f"/api/runs/{run_id}/screens"
    answer = api.ask_as("ada", "GET", f"{path}/sql")
    assert answer.status == 302
    with urllib.request.urlopen(answer.headers["Location"]) as picture:
        assert b"sql-f270115200000-0000" in picture.read()
    api.ask_as("vic", "GET", f"{path}/sql").problem(403)
    assert "There is no picture of iis" in api.ask_as("ada", "GET", f"{path}/iis").problem(404)["detail"]
    api.ask_as("ada", "GET", f"{path}/mail").problem(404)
