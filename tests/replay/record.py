"""Records the stored histories again: ``python -m tests.replay.record [STORY ...]``, from the project's folder.

Each story of ``stories.yaml`` runs in its own lab. A story that ends as expected replaces its file under
``histories``; one that does not is retried, then named at the end, and the command's status is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import grpc.aio
import yaml
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs

from lab.actions import Actions
from lab.cloud.times import Times
from lab.host.hub import MAX_MESSAGE_BYTES
from lab.plan_copy import merge
from lab.report import build_report, judge
from lab.runner import Watcher
from lab.scenario import PROJECT, Scenario
from lab.site.world import SQL_PASSWORD
from lab.twin import Lab, LabOptions
from shared.plans.loader import build_plan, read_yaml
from tests.replay import stored

STORIES = Path(__file__).parent / "stories.yaml"
PATIENCE = 60.0
"""Real seconds after a story's last event until everything must be over."""
TRIES = 3


class NotAsWantedError(Exception):
    """A story did not end as expected; the message says how."""


def load_stories() -> dict[str, dict[str, Any]]:
    """Every story with the common settings, by name."""
    data = yaml.safe_load(STORIES.read_text(encoding="utf-8"))
    return {name: merge(data["everywhere"], story) for name, story in data["stories"].items()}


async def record(story: dict[str, Any]) -> str:
    """Runs one story and returns its histories as text. Raises ``NotAsWantedError``."""
    wanted = set(story.pop("orchestrators"))
    scenario = Scenario.model_validate(story)
    plan_file = PROJECT / scenario.plan
    plan = build_plan(merge(read_yaml(plan_file), scenario.plan_overrides), plan_file)
    options = LabOptions(speed=scenario.speed, workers=scenario.workers, times=Times().with_changes(scenario.times))
    async with Lab(plan, plan_file, options) as lab, grpc.aio.insecure_channel(*_hub(lab)) as channel:
        hub: Any = stubs.TaskHubSidecarServiceStub(channel)
        await _play(lab, scenario, hub, wanted)
        histories = [await _history(hub, state.instanceId) for state in await _instances(hub)]
        text = stored.as_text(scenario.name, histories)
        _refuse_what_is_private(lab, text)
    return text


def _hub(lab: Lab) -> tuple[str, list[tuple[str, int]]]:
    return lab.functions.engine.address, [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]


async def _play(lab: Lab, scenario: Scenario, hub: Any, wanted: set[str]) -> None:
    """Performs the timeline and waits until the world is at rest and every orchestration is over."""
    actions = Actions(lab, STORIES.parent)
    watcher = Watcher(lab, actions, lambda at, text: None)
    watching = asyncio.create_task(watcher.run())
    try:
        for event in sorted(scenario.timeline, key=lambda e: e.at):
            await lab.clock.until(event.at.total_seconds())
            await actions.perform(event)
            watcher.changed()
        limit = time.monotonic() + PATIENCE
        while not watcher.at_rest or await _unfinished(hub, wanted):
            if time.monotonic() > limit:
                raise NotAsWantedError(f"{await _unfinished(hub, wanted) or 'It'} did not come to rest.")
            await asyncio.sleep(0.1)
    finally:
        for task in (watching, *actions.sending):
            task.cancel()
        await asyncio.gather(watching, *actions.sending, return_exceptions=True)
    report = await build_report(lab, scenario)
    failures = [*actions.failures, *watcher.failures, *judge(report, scenario.expect)]
    ended = [f"{run['kind']} {run['outcome']}" for run in report["runs"]]
    if len(ended) != sum(sum(counts.values()) for counts in scenario.expect["runs"].values()):
        failures.append(f"There were other runs: {', '.join(ended)}.")
    if failures:
        raise NotAsWantedError(" ".join(failures))


async def _instances(hub: Any) -> list[pb.OrchestrationState]:
    """Everything that the hub holds, oldest first."""
    return list((await hub.QueryInstances(pb.QueryInstancesRequest())).orchestrationState)


async def _unfinished(hub: Any, wanted: set[str]) -> str:
    """Which orchestrations are not over, or did not begin; empty when there is nothing to wait for."""
    states = await _instances(hub)
    running = [s.instanceId for s in states if s.orchestrationStatus != pb.ORCHESTRATION_STATUS_COMPLETED]
    return ", ".join([*running, *sorted(wanted - {s.name for s in states})])


async def _history(hub: Any, instance: str) -> stored.History:
    request = pb.StreamInstanceHistoryRequest(instanceId=instance)
    return stored.split(
        instance, [event async for chunk in hub.StreamInstanceHistory(request) for event in chunk.events]
    )


def _refuse_what_is_private(lab: Lab, text: str) -> None:
    """Histories go into the repository: no key, no password and no path of this machine may be in them."""
    private = {
        "a function key": lab.functions.function_key,
        "the master key": lab.functions.master_key,
        "the identity's header": lab.identity.header,
        "SQL Server's password": SQL_PASSWORD,
        "the lab's folder": str(lab.folder),
        "the project's folder": str(PROJECT),
        "the home folder": str(Path.home()) + "/",
    }
    if found := [what for what, value in private.items() if value in text]:
        raise NotAsWantedError(f"Its histories hold {', '.join(found)}.")


def _record_one(name: str, story: dict[str, Any], place: str) -> bool:
    for attempt in range(1, TRIES + 1):
        began = time.monotonic()
        print(f"{place} {name} ...", end=" ", flush=True)
        try:
            text = asyncio.run(record(dict(story)))
        except Exception as error:  # noqa: BLE001 (whatever went wrong, the other stories are still recorded)
            print(f"not as wanted ({attempt} of {TRIES}): {type(error).__name__}: {error}", flush=True)
            continue
        (stored.FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{len(text) // 1024} KB, {time.monotonic() - began:.0f} s", flush=True)
        return True
    return False


def main() -> int:
    """The command; 0 when every wanted story was recorded."""
    stories = load_stories()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("story", nargs="*", help=f"{', '.join(stories)}; all of them when none is named")
    names = parser.parse_args().story or list(stories)
    if unknown := [name for name in names if name not in stories]:
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(stories)}")
    stored.FOLDER.mkdir(exist_ok=True)
    for path in stored.FOLDER.glob("*.json"):
        if path.stem not in stories:
            path.unlink()
    failed = [
        name for number, name in enumerate(names, 1) if not _record_one(name, stories[name], f"{number}/{len(names)}")
    ]
    if failed:
        print(f"Not recorded: {', '.join(failed)}. Their old histories are unchanged.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
