"""The contracts between folders: a file that breaks one fails the linter."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PACKAGES = ("functions", "shared", "lab", "cli")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code that a test may corrupt."""
    folder = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        skipped = shutil.ignore_patterns("__pycache__", "node_modules", "*.sock")
        shutil.copytree(PROJECT / package, folder / package, ignore=skipped)
    shutil.copy(PROJECT / "pyproject.toml", folder)
    return folder


def lint(house: Path, tool: str, *words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / tool
    return subprocess.run([program, *words], cwd=house, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("place", "code", "broken"),
    [
        ("functions/stages", "from shared.store import runs", "Orchestrators, stages and workflow do no I/O"),
        ("functions/orchestrators", "import aiohttp", "Orchestrators, stages and workflow do no I/O"),
        ("functions/stages", "from functions.orchestrators import drill", "What Azure Functions calls"),
        ("shared/policy", "from shared.azure import clients", "Models and policy do no I/O"),
        ("shared/models", "import azure.core", "Models and policy do no I/O"),
        ("shared/store", "from shared.services import watch", "Plain Python"),
        ("shared/services", "from functions import engine", "shared knows nothing of functions"),
        ("cli", "from functions import engine", "shared knows nothing of functions"),
    ],
)
def test_an_import_that_goes_up_or_asks_the_world_is_refused(house: Path, place: str, code: str, broken: str) -> None:
    spoiled = house / place / "spoiled.py"
    spoiled.write_text(f"{code}\n")
    try:
        done = lint(house, "lint-imports", "--no-logo", "--no-cache")
    finally:
        spoiled.unlink()
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.endswith("BROKEN") and line.startswith(broken)]
    assert line


PURE = ["functions/orchestrators", "functions/stages", "functions/workflow", "shared/models", "shared/policy"]
IMPURE = {
    "from datetime import UTC, datetime": "datetime.now(UTC)",
    "from datetime import date": "date.today()",
    "import random": "random.random()",
    "from uuid import uuid4": "uuid4()",
    "import socket": "socket.socket()",
    "from azure.data.tables import TableClient": "TableClient",
    "from urllib import request": "request.urlopen",
    "from pathlib import Path": "Path()",
}


@pytest.mark.parametrize("place", PURE)
def test_clocks_chance_and_io_are_refused(house: Path, place: str) -> None:
    spoiled = {house / place / f"spoiled{n}.py": (found, use) for n, (found, use) in enumerate(IMPURE.items())}
    for file, (found, use) in spoiled.items():
        file.write_text(f"{found}\n\nSPOILED = {use}\n")
    try:
        done = lint(house, "ruff", "check", "--no-cache", "--output-format", "concise", place)
    finally:
        for file in spoiled:
            file.unlink()
    refused = {Path(line.split(":")[0]).name for line in done.stdout.splitlines() if "TID251" in line}
    assert refused == {file.name for file in spoiled}


def test_the_house_as_it_is_keeps_every_contract(house: Path) -> None:
    assert lint(house, "lint-imports", "--no-logo", "--no-cache").returncode == 0
    assert lint(house, "ruff", "check", "--no-cache", "--select", "TID251", *PACKAGES).returncode == 0


def _sources(package: str) -> list[Path]:
    return sorted(file for file in (PROJECT / package).rglob("*.py") if "node_modules" not in file.parts)


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for package in (*PACKAGES, "bench"):
        for file in _sources(package):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef):
                    places.setdefault(node.name, []).append(str(file.relative_to(PROJECT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_no_file_of_python_is_longer_than_400_lines() -> None:
    lengths = {
        str(file.relative_to(PROJECT)): len(file.read_text().splitlines())
        for package in (*PACKAGES, "bench", "tests")
        for file in _sources(package)
    }
    assert {file: lines for file, lines in lengths.items() if lines > 400} == {}


UNTELLING = {"one", "said", "told"}
"""Names of values that say nothing of what is in them."""


def test_no_value_has_a_name_that_says_nothing_of_it() -> None:
    found = [
        f"{file.relative_to(PROJECT)}:{node.lineno}: {name}"
        for package in (*PACKAGES, "bench", "tests")
        for file in _sources(package)
        for node in ast.walk(ast.parse(file.read_text()))
        if (name := _value_named_by(node)) in UNTELLING
    ]
    assert found == []


def _value_named_by(node: ast.AST) -> str | None:
    if isinstance(node, ast.arg):
        return node.arg
    return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else None
