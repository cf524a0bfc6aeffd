"""The PowerShell module against a Coldsite with scripted answers."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.infra.shell import needs_powershell
from tests.lab.screens import Coldsite, coldsite

MODULE = Path(__file__).parents[2] / "cli" / "powershell" / "Coldsite"
pytestmark = needs_powershell
RUN = {"run_id": "contoso-f20270115203000000-abcd", "kind": "failover", "phase": "recovering", "holds": 2}


def shell(site: Coldsite, script: str) -> tuple[Any, str]:
    """What a script returns, as JSON, and what it complains of."""
    whole = (
        "$ErrorActionPreference = 'Stop'; $PSStyle.OutputRendering = 'PlainText';"
        f"Import-Module '{MODULE}'; Connect-Coldsite -Url '{site.url}' -Key k;"
        f"{script} | ConvertTo-Json -Depth 6 -Compress"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COLDSITE_")}
    done = subprocess.run(
        ["pwsh", "-NoProfile", "-NonInteractive", "-Command", whole],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("{", "["))]
    return (json.loads(lines[-1]) if lines else None), " ".join(done.stderr.split())


def test_plans_runs_and_readiness_are_objects() -> None:
    with coldsite() as site:
        site.says("plans", {"plans": [{"name": "contoso", "active_site": "primary"}]})
        site.says("runs?limit=5&plan=contoso&kind=drill", {"runs": [RUN]})
        site.says(f"runs/{RUN['run_id']}", RUN | {"steps": []})
        site.says("plans/contoso/readiness", {"ready": True, "findings": []})
        found, _ = shell(
            site,
            "@{plans = @(Get-ColdsitePlan); runs = @(Get-ColdsiteRun -Plan contoso -Kind drill -Limit 5);"
            "one = (Get-ColdsiteRun -Plan contoso -Kind drill -Limit 5 | Get-ColdsiteRun);"
            "ready = (Get-ColdsiteReadiness contoso).ready}",
        )
    assert found["plans"][0]["name"] == "contoso"
    assert found["runs"][0]["run_id"] == RUN["run_id"]
    assert found["one"]["steps"] == []
    assert found["ready"] is True


def test_what_if_returns_the_forecast_and_starts_nothing() -> None:
    with coldsite() as site:
        site.says("plans/contoso/failover?what_if=true", {"expected_seconds": 414.0})
        found, _ = shell(site, "Start-ColdsiteFailover contoso -Reason Fire -WhatIf")
        assert [path for path, _ in site.sent] == ["/api/plans/contoso/failover?what_if=true"]
    assert found == {"expected_seconds": 414.0}


def test_a_start_sends_what_was_asked_for_and_an_answer_follows_a_run_of_the_pipeline() -> None:
    with coldsite() as site:
        site.says("plans/contoso/failover", RUN, status=202)
        site.says(f"runs/{RUN['run_id']}/acknowledge", RUN, status=202)
        shell(
            site,
            "Start-ColdsiteFailover contoso -Reason 'Brand im Büro' -Planned -Confirm:$false |"
            "Send-ColdsiteAnswer -Answer Acknowledge -Confirm:$false",
        )
        assert site.sent == [
            (
                "/api/plans/contoso/failover",
                {
                    "mode": "planned",
                    "acknowledge_primary_healthy": False,
                    "recovery_point": "latest",
                    "reason": "Brand im Büro",
                    "workloads": [],
                },
            ),
            (f"/api/runs/{RUN['run_id']}/acknowledge", {"reason": "", "question": 2}),
        ]


def test_a_refusal_is_the_sentence_of_the_api() -> None:
    with coldsite() as site:
        site.says("plans/contoso/drill", {"detail": "Run x holds the plan."}, status=409)
        _, complaint = shell(site, "Start-ColdsiteDrill contoso -Confirm:$false")
    assert "Run x holds the plan." in complaint


def test_every_command_has_help_with_an_example() -> None:
    text = (MODULE / "Coldsite.psm1").read_text()
    exported = re.search(r"Export-ModuleMember -Function (.*)", text)
    assert exported
    for name in exported[1].split(", "):
        body = text.split(f"function {name} {{")[1].split("\nfunction ")[0]
        assert ".SYNOPSIS" in body, name
        assert ".EXAMPLE" in body, name
        assert name in (MODULE / "Coldsite.psd1").read_text()
