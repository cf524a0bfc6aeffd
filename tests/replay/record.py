"""Records the stored histories again: ``python -m tests.replay.record [STORY ...]``, from the project's folder.

Each story of ``stories.yaml`` is played in virtual time. A story that ends as expected replaces its file under
``histories``; one that does not is named at the end, and the command's status is 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from lab.plan_copy import merge
from lab.runner import LONGEST, options_of, play
from lab.scenario import PROJECT, Scenario
from lab.site.world import SQL_PASSWORD
from lab.twin import Lab
from shared.plans.loader import build_plan, read_yaml
from tests.replay import stored
from tests.virtual.lab import VirtualLab
from tests.virtual.loop import VirtualLoop, run

STORIES = Path(__file__).parent / "stories.yaml"


class NotAsWantedError(Exception):
    """A story did not end as expected; the message says how."""


def load_stories() -> dict[str, dict[str, Any]]:
    """Every story with the common settings, by name."""
    data = yaml.safe_load(STORIES.read_text(encoding="utf-8"))
    return {name: merge(data["everywhere"], story) for name, story in data["stories"].items()}


def record(story: dict[str, Any]) -> str:
    """Plays one story in virtual time and returns its histories as text. Raises ``NotAsWantedError``."""
    wanted = set(story.pop("orchestrators"))
    scenario = Scenario.model_validate(story)
    plan_file = PROJECT / scenario.plan
    plan = build_plan(merge(read_yaml(plan_file), scenario.plan_overrides), plan_file)

    async def main(loop: VirtualLoop) -> str:
        async with VirtualLab(plan, plan_file, options_of(scenario, speed=1.0), loop) as lab:
            report = await play(lab, scenario, STORIES.parent, lambda at, text: None)
            instances = lab.hub.instances.values()
            while waits := [instance.id for instance in instances if instance.status == "running"]:
                if lab.clock.now > LONGEST:
                    raise NotAsWantedError(f"{', '.join(waits)} did not come to rest.")
                await lab.clock.sleep(60)
            if missing := wanted - {instance.name for instance in instances}:
                raise NotAsWantedError(f"{', '.join(sorted(missing))} did not run.")
            _refuse_another_end(scenario, report)
            text = stored.as_text(
                scenario.name, [stored.split(instance.id, instance.history) for instance in instances]
            )
            _refuse_what_is_private(lab, text)
            return text

    return run(main)


def _refuse_another_end(scenario: Scenario, report: dict[str, Any]) -> None:
    failures = list(report["failures"])
    ended = [f"{run['kind']} {run['outcome']}" for run in report["runs"]]
    if len(ended) != sum(sum(counts.values()) for counts in scenario.expect["runs"].values()):
        failures.append(f"There were other runs: {', '.join(ended)}.")
    if failures:
        raise NotAsWantedError(" ".join(failures))


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
    print(f"{place} {name} ...", end=" ", flush=True)
    try:
        text = record(dict(story))
    except Exception as error:  # noqa: BLE001 (whatever went wrong, the other stories are still recorded)
        print(f"not as wanted: {type(error).__name__}: {error}", flush=True)
        return False
    (stored.FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"{len(text) // 1024} KB", flush=True)
    return True


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
