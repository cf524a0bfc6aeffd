"""Every script parses, and the scripts for Windows servers use only what Windows PowerShell 5.1 supports."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.infra.shell import HOOKS, PROJECT, needs_powershell

pytestmark = needs_powershell

PARSE = Path(__file__).parent / "parse.ps1"
ON_SERVERS = sorted([*(PROJECT / "plans").rglob("*.ps1"), *(PROJECT / "docs").glob("*.ps1")])


def parse(*files: Path, for_5_1: bool) -> subprocess.CompletedProcess[str]:
    named = ",".join(f"'{file}'" for file in files)
    words = f"& '{PARSE}' -Path {named}" + (f" -For51 {named}" if for_5_1 else "") + "; exit $LASTEXITCODE"
    command = ["pwsh", "-NoProfile", "-NonInteractive", "-Command", words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_hooks_parse() -> None:
    done = parse(*sorted(HOOKS.glob("*.ps1")), for_5_1=False)
    assert done.returncode == 0, done.stdout


def test_the_scripts_of_servers_run_in_windows_powershell() -> None:
    assert {file.name for file in ON_SERVERS} >= {"freeze.ps1", "thaw.ps1", "status.ps1", "reverse.ps1"}
    done = parse(*ON_SERVERS, for_5_1=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "$a = $true ? 1 : 2",
        "Get-Date -AsUTC",
        "$a = $null ?? 1",
        "1 && 2",
        "'{}' | ConvertFrom-Json -AsHashtable",
        "if (",
    ],
)
def test_what_5_1_does_not_know_is_found(tmp_path: Path, line: str) -> None:
    script = tmp_path / "new.ps1"
    script.write_text(line + "\n")
    assert parse(script, for_5_1=True).returncode == 1
