"""The deployment package: the files that .funcignore allows, with a Python that has only requirements.txt."""

from __future__ import annotations

import asyncio
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

from pathspec import GitIgnoreSpec

from lab.options import PROJECT, Installed
from lab.processes import ChildStartError

PLATFORM = ("azure-functions-runtime", "azurefunctions-extensions-base")
"""What Azure brings itself: Microsoft's Python worker."""


def packaged() -> list[Path]:
    """The files of the package, relative to the project, as Core Tools and azd choose them."""
    left_out = GitIgnoreSpec.from_lines((PROJECT / ".funcignore").read_text().splitlines())
    return sorted(Path(name) for name in left_out.match_tree_files(PROJECT, negate=True))


def unpack(folder: Path) -> Path:
    """Writes the package's files into an empty folder."""
    for name in packaged():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, target)
    return folder


async def install(folder: Path) -> Installed:
    """The package in ``folder/app``, a Python in ``folder/python`` with what requirements.txt names, and the worker.

    Raises ``ChildStartError`` with the installer's own words.
    """
    app, python, platform = folder / "app", folder / "python", folder / "platform"
    unpack(app)
    await _run(sys.executable, "-m", "venv", str(python))
    wanted = str(app / "requirements.txt")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-compile")
    await _run(str(python / "bin" / "python"), "-m", "pip", "install", *quiet, "--require-hashes", "-r", wanted)
    for module in ("__init__.py", "host/__init__.py", "host/worker.py", "host/wire.py"):
        target = platform / "lab" / module
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / "lab" / module, target)
    for name in PLATFORM:
        found = distribution(name)
        for file in found.files or []:
            if file.suffix == ".py":
                target = platform / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(found.locate_file(file)), target)
    return Installed(app, str(python / "bin" / "python"), platform)


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise ChildStartError(f"{' '.join(command)} ended with {process.returncode}: {output.decode().strip()}")
