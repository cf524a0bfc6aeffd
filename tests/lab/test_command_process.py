"""The command as a process of its own: what it needs and lacks, how a shell completes it, how it ends on bad input."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from lab.scenario import PROJECT
from tests.lab.peer import free_port
from tests.lab.screens import RUN, Coldsite, coldsite, plan

EXTRA = re.compile(r"extra == ['\"](\w+)['\"]")
LAB_ONLY = ("duckdb", "trustme", "azure.mgmt")
"""Modules that an installation of the command alone lacks."""


def name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def wanted_by(distribution: str, extra: str = "") -> set[str]:
    """The names of everything that an installation with this extra brings."""
    found: set[str] = set()
    todo = [
        requirement
        for requirement in metadata.requires(distribution) or []
        if (match := EXTRA.search(requirement)) is None or match.group(1) == extra
    ]
    while todo:
        if (name := name_of(todo.pop())) in found:
            continue
        found.add(name)
        try:
            todo += [requirement for requirement in metadata.requires(name) or [] if not EXTRA.search(requirement)]
        except metadata.PackageNotFoundError:
            continue  # It is for another system.
    return found


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_it_reads_nothing_that_an_installation_of_the_command_lacks() -> None:
    done = python("import sys, cli.main, cli.fleet_server; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    brought = wanted_by("coldsite", "command") | {"coldsite"}
    origins = metadata.packages_distributions()
    modules = done.stdout.split()
    read = {name.partition(".")[0] for name in modules}
    lacking = {module for module in read if module in origins and not {name_of(d) for d in origins[module]} & brought}
    assert lacking - {"_distutils_hack"} == set()
    assert "lab" not in read
    azure = tuple(name.replace("-", ".") for name in brought if name.startswith("azure-"))
    assert [module for module in modules if module.startswith("azure.") and not module.startswith(azure)] == []


@pytest.mark.parametrize("command", [["lab", "up"], ["plan", "init", "acme", "-s", "one"]], ids=lambda words: words[0])
def test_what_needs_a_clone_says_so(command: list[str]) -> None:
    done = python(
        f"""
        import importlib.abc, sys

        class Lacks(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name in {LAB_ONLY!r}:
                    raise ModuleNotFoundError("none", name=name)

        sys.meta_path.insert(0, Lacks())
        from cli.main import main
        main()
        """,
        *command,
    )
    assert done.returncode == 2
    assert "needs a clone of Coldsite's repository" in " ".join(done.stderr.split())


def completed(site: Coldsite, typed: str, **environment: str) -> list[str]:
    """What a shell offers after ``typed``."""
    done = python(
        "import sys; sys.argv = ['coldsite']; from cli.main import main; main()",
        COMP_WORDS=typed,
        COMP_CWORD=str(len(typed.split(" ")) - 1),
        _COLDSITE_COMPLETE="complete_bash",
        COLDSITE_URL=site.url,
        COLDSITE_KEY="k",
        **environment,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def site() -> Iterator[Coldsite]:
    with coldsite() as made:
        made.says("plans", {"plans": [plan(), plan(name="fabrikam")]})
        run = {"run_id": RUN, "plan": "contoso", "kind": "failover", "phase": "recovering", "outcome": None}
        made.says("runs?limit=50", {"runs": [run]})
        yield made


def test_a_shell_completes_plans_and_runs(site: Coldsite, tmp_path: Path) -> None:
    assert completed(site, "coldsite failover ") == ["contoso", "fabrikam"]
    assert completed(site, "coldsite readiness fa") == ["fabrikam"]
    assert completed(site, "coldsite approve ") == ["f-abcd"]
    assert completed(site, "coldsite approve d-") == []


def test_completion_is_silent_where_no_coldsite_answers(site: Coldsite) -> None:
    site.url = f"http://127.0.0.1:{free_port()}"
    assert completed(site, "coldsite failover ") == []


@pytest.mark.parametrize("plans", [None, [{}], [{"name": "x; $(reboot)"}], [{"name": ["contoso"]}]])
def test_what_is_no_plan_s_name_is_not_offered_to_a_shell(site: Coldsite, plans: object) -> None:
    site.says("plans", {"plans": plans})
    assert completed(site, "coldsite failover ") == []


def test_a_code_page_without_our_characters_loses_no_line(site: Coldsite) -> None:
    site.says("plans/contoso", plan(events=[{"at": "2027-01-15T20:00:00Z", "text": "paused by \u0141ukasz \u2501"}]))
    command = "import sys; sys.argv = ['coldsite', 'history', 'contoso']; from cli.main import main; main()"
    done = python(command, COLDSITE_URL=site.url, COLDSITE_KEY="k", PYTHONIOENCODING="cp1252")
    assert (done.returncode, done.stderr) == (0, "")
    assert "paused by ?ukasz ?" in done.stdout


@pytest.mark.parametrize(
    "command", [["history", ""], ["points", "[/x]"], ["evidence", "contoso", "--html", "/none/x.html"]], ids=str
)
def test_bad_input_is_a_sentence_and_status_2(site: Coldsite, command: list[str]) -> None:
    site.says("plans/contoso/evidence", {})
    words = f"import sys; sys.argv = ['coldsite', *{command!r}]; from cli.main import main; main()"
    done = python(words, COLDSITE_URL=site.url, COLDSITE_KEY="k")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_without_a_coldsite_the_status_is_2(tmp_path: Path) -> None:
    words = "import sys; sys.argv = ['coldsite', 'status', '-o', 'json']; from cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", words],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "COLDSITE_CONFIG": str(tmp_path / "none.yaml")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "No Coldsite is configured" in " ".join(done.stderr.split())
