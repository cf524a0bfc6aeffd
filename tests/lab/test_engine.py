"""Scenarios on the engine that runs in Azure: Microsoft's storage provider, with clients in a separate process."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.host.engine import MEMORY, PROGRAM, MemoryEngine, ProgramEngine, Provider, chosen
from lab.runner import run_scenario
from lab.scenario import PROJECT, load_scenario
from tests.tags import tagged

ENGINE = "coldsite-engine"
SPEED = 20.0

needs_engine = pytest.mark.skipif(
    shutil.which(ENGINE) is None,
    reason=f"These scenarios run on Microsoft's storage provider: build lab/engine and put {ENGINE} on PATH.",
)

SCENARIOS = tagged("engine")
"""Kills, events, approvals, drills, lost storage. The nightly workflow runs every scenario."""


def on_the_engine(file: Path) -> dict[str, Any]:
    scenario, plan, plan_file = load_scenario(file)
    return asyncio.run(run_scenario(scenario, plan, plan_file, file.parent, SPEED, lambda at, text: None, ENGINE))


@needs_engine
@pytest.mark.engine
@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_a_scenario_holds_on_the_engine_of_azure(file: Path) -> None:
    report = on_the_engine(file)
    assert report["engine"] == ENGINE
    assert report["failures"] == []


# Which engine, and its settings


def test_what_hostjson_says_is_divided_by_the_speed() -> None:
    durable = json.loads((PROJECT / "host.json").read_text())["extensions"]["durableTask"]
    assert Provider.of(durable, 20.0) == Provider(partitions=1, poll=0.05, visibility=3.0, grain=0.05)
    assert Provider.of({}, 10.0) == Provider(partitions=4, poll=3.0, visibility=30.0, grain=0.1)


@pytest.mark.parametrize(
    ("option", "variable", "name"),
    [
        (None, None, MEMORY),
        (None, "/tools/one", "one"),
        ("/tools/two", "/tools/one", "two"),
        (MEMORY, "/tools/one", MEMORY),
    ],
)
def test_the_option_wins_over_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str | None, variable: str | None, name: str
) -> None:
    monkeypatch.delenv(PROGRAM, raising=False)
    if variable:
        monkeypatch.setenv(PROGRAM, variable)
    engine = chosen(option, {"hubName": "Coldsite"}, 20.0, tmp_path)
    assert (engine.name, engine.hub) == (name, "Coldsite")
    assert isinstance(engine, MemoryEngine if name == MEMORY else ProgramEngine)
    asyncio.run(engine.stop())


PROGRAM_TEXT = """#!{python}
import json, os, sys
settings = {{name: value for name, value in os.environ.items() if name.startswith("ENGINE_")}}
with open({notes!r}, "a") as notes:
    notes.write(json.dumps(settings) + "\\n")
print(json.dumps({{"address": "127.0.0.1:1", "hub": settings["ENGINE_HUB"]}}), flush=True)
sys.stdin.read()
"""


def test_a_program_is_started_twice_on_one_storage(tmp_path: Path) -> None:
    """Once for the durable functions, once for the clients of the others."""
    notes, program = tmp_path / "notes", tmp_path / "program"
    program.write_text(PROGRAM_TEXT.format(python=sys.executable, notes=str(notes)))
    program.chmod(0o755)
    engine = ProgramEngine(str(program), "Coldsite", Provider(1, 0.05, 3.0, 0.05), tmp_path)

    async def start_and_stop() -> int:
        await engine.start()
        running = len(engine.process_ids)
        await engine.stop()
        return running

    assert asyncio.run(start_and_stop()) == 3
    first, second = (json.loads(line) for line in notes.read_text().splitlines())
    assert second.pop("ENGINE_DISPATCH") == "false"
    assert first == second
    assert {name: first[name] for name in first if name != "ENGINE_STORAGE"} == {
        "ENGINE_HUB": "Coldsite",
        "ENGINE_PARTITIONS": "1",
        "ENGINE_POLL": "0.050",
        "ENGINE_VISIBILITY": "3.000",
        "ENGINE_TIMERS": "exact",
        "ENGINE_LOSES": "instances",
    }
    for service in ("Blob", "Queue", "Table"):
        assert f"{service}Endpoint=http://127.0.0.1:" in first["ENGINE_STORAGE"]
