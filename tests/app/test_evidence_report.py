"""The evidence of a period: one drill, asked as JSON, as a page, and by the command."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app as command
from tests.app.api import Api
from tests.plans import contoso_with

PATH = "/api/plans/contoso/evidence"


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api(contoso_with({"drill.keep_for": "1s"}), "evidence") as api:
        started = api.post("/api/plans/contoso/drill", {"reason": "quarterly"})
        assert started.status == 202, started.text
        assert api.finished(started.json["run_id"])["outcome"] == "succeeded"
        yield api


def test_a_drill_is_shown_with_its_measurements_and_the_chain(api: Api) -> None:
    found = api.get(PATH).json
    (row,) = found["runs"]
    assert (found["drills"], found["drills_succeeded"], found["failovers"]) == (1, 1, 0)
    assert (row["kind"], row["outcome"], row["met"], row["document"]) == ("drill", "succeeded", True, 1)
    assert row["recovery_time"] == found["longest_recovery"]
    assert found["history"].startswith("intact: 1 documents")


def test_a_period_without_runs_is_empty(api: Api) -> None:
    assert api.get(f"{PATH}?from=2020-01-01&to=2020-12-31").json["runs"] == []


def test_the_last_day_counts_whole(api: Api) -> None:
    today = datetime.now(UTC).date().isoformat()
    assert len(api.get(f"{PATH}?from={today}&to={today}").json["runs"]) == 1


@pytest.mark.parametrize(
    "period", ["from=yesterday", "to=2027-13-01", "from=2027-02-01&to=2027-01-01", "from=0001-01-01"]
)
def test_a_period_that_is_none_is_refused_with_the_reason(api: Api, period: str) -> None:
    api.get(f"{PATH}?{period}").problem(422)


def test_the_command_prints_writes_a_page_and_a_table(api: Api, tmp_path: Path) -> None:
    target = ["--url", api.lab.functions.url, "--key", api.lab.functions.function_key]
    run, printed = CliRunner(), ""
    for more in ([], ["--html", str(tmp_path / "a.html")], ["--csv", str(tmp_path / "a.csv")]):
        result = run.invoke(command, ["evidence", "contoso", *more, *target])
        assert result.exit_code == 0, result.output
        printed += result.output
    assert "1 drills, of which 1 succeeded; 0 failovers." in printed
    assert "<h1>Contoso web shop: recovery tests and failovers</h1>" in (tmp_path / "a.html").read_text()
    (row,) = csv.DictReader((tmp_path / "a.csv").read_text().splitlines())
    assert (row["kind"], row["outcome"], row["met"]) == ("drill", "succeeded", "True")
    assert datetime.fromisoformat(row["began"]) > datetime.now(UTC) - timedelta(hours=1)
