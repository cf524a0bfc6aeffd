"""docs/check-source.ps1 on three simulated servers: a good one, a bad one, and one that answers nothing."""

from __future__ import annotations

import subprocess

import pytest

from tests.infra.shell import PROJECT, STAND_INS, needs_powershell

pytestmark = needs_powershell


@pytest.mark.parametrize(
    ("machine", "status", "words"),
    [
        ("good", 0, "0 to fix"),
        ("bad", 1, "18 to fix"),
        ("broken", 2, "What could not be checked is not known to be right."),
    ],
)
def test_the_exit_status_says_whether_the_server_is_ready(machine: str, status: int, words: str) -> None:
    script = ["-File", str(STAND_INS / "windows.ps1"), "-Script", str(PROJECT / "docs" / "check-source.ps1")]
    command = ["pwsh", "-NoProfile", "-NonInteractive", *script, "-Machine", machine]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"exit code: {status}" in done.stdout, done.stdout + done.stderr
    assert words in done.stdout
