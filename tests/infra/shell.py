"""PowerShell for the tests of scripts: one session that runs them all, with stand-ins for az, azd and Double-Take."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
HOOKS = PROJECT / "infra" / "hooks"
STAND_INS = Path(__file__).parent / "stand_ins"

needs_powershell = pytest.mark.skipif(
    shutil.which("pwsh") is None, reason="These tests run the scripts: put PowerShell 7.4 or later (pwsh) on PATH."
)


@dataclass(frozen=True)
class Ran:
    """A script's return value, its output, its error (None: success), and how long it waited."""

    output: list[str]
    text: str
    error: str | None
    slept: float

    @property
    def visible(self) -> str:
        """All visible output."""
        return "\n".join([*self.output, self.text, self.error or ""])


class PowerShell:
    """One session. Waits take no time in it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self, script: Path, environment: Mapping[str, str | None], before: str = "", **arguments: str | None
    ) -> Ran:
        case = {"script": str(script), "environment": environment, "before": before, "arguments": arguments}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"PowerShell ended while it ran {script.name}."
        result = json.loads(line)
        return Ran(result["output"], "\n".join(result["text"]), result["error"], result["slept"])


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of every script: the stand-ins before the real commands, and nothing of the user's own."""
    plain = {"HOME": str(folder), "NO_COLOR": "1", "TERM": "dumb", "LANG": "C.UTF-8"}
    paths = f"{STAND_INS}{os.pathsep}{os.environ['PATH']}"
    return plain | {"PATH": paths, "STAND_IN_PYTHON": sys.executable} | more


@contextmanager
def powershell(folder: Path) -> Iterator[PowerShell]:
    words = ["pwsh", "-NoProfile", "-NonInteractive", "-File", str(STAND_INS / "session.ps1")]
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "DOTNET_ROOT")}
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=kept | environment(folder)
    ) as process:
        yield PowerShell(process)
        assert process.stdin
        process.stdin.close()


class Azure:
    """The state of the stand-ins of az and azd, in a folder of its own."""

    def __init__(self, folder: Path, state: Mapping[str, Any]) -> None:
        self.folder = folder
        (folder / "state.json").write_text(json.dumps(state))

    @property
    def state(self) -> Any:
        return json.loads((self.folder / "state.json").read_text())

    @property
    def settings(self) -> dict[str, str]:
        """The settings that azd keeps."""
        file = self.folder / "azd.json"
        return json.loads(file.read_text()) if file.exists() else {}

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls.jsonl"
        return [" ".join(json.loads(line)["argv"]) for line in file.read_text().splitlines()] if file.exists() else []
