"""The deployed package is the tested one: unpacked elsewhere, with only requirements.txt, it completes a failover."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.options import Installed
from lab.package import install, packaged
from tests.app.api import Api
from tests.app.test_index import index_of_the_app
from tests.loops import collect_quietly

DEPLOYED = {"function_app.py", "host.json", "requirements.txt", "functions", "shared", "plans"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return asyncio.run(install(tmp_path_factory.mktemp("package")))


@pytest.fixture(scope="module")
def api(installed: Installed) -> Iterator[Api]:
    with Api(installed=installed) as api:
        yield api


def named(index: list[dict[str, Any]]) -> dict[str, Any]:
    """Every function by its name, with its bindings."""
    return {function["name"]: function["bindings"] for function in index}


def test_the_package_holds_the_app_and_nothing_else() -> None:
    files = packaged()
    assert {file.parts[0] for file in files} == DEPLOYED
    assert {file.suffix for file in files} == {".py", ".json", ".txt", ".html", ".css", ".js"}
    assert not [file for file in files if "contoso" in file.name]


def test_the_package_indexes_the_same_functions_as_the_project(api: Api, tmp_path: Path) -> None:
    of_the_project = asyncio.run(index_of_the_app(tmp_path))
    collect_quietly()
    assert named(api.lab.functions.index) == named(of_the_project)
    assert str(api.lab.options.installed.folder) not in api.get("/api/plans").text


def test_the_package_moves_the_customers(api: Api) -> None:
    body = {"reason": "The package must work", "acknowledge_primary_healthy": True}
    started = api.post("/api/plans/contoso/failover", body)
    assert started.status == 202, started.text
    run = api.finished(started.json["run_id"], 120.0)
    assert (run["outcome"], run["ended_because"][:9]) == ("succeeded", "Customers")
    assert api.plan()["active_site"] == "recovery"
    assert api.history_intact()
