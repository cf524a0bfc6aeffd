"""Plays one scenario file in virtual time: ``python -m tests.virtual.play primary-dies-alert``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lab.runner import options_of, play
from lab.scenario import load_scenario
from tests.virtual.lab import VirtualLab
from tests.virtual.loop import VirtualLoop, run

SCENARIOS = Path(__file__).parents[2] / "lab" / "scenarios"


def played(path: Path, *, tells: bool = False) -> dict[str, Any]:
    """The report of a scenario, judged."""
    scenario, plan, plan_file = load_scenario(path)

    def tell(at: float, text: str) -> None:
        if tells:
            print(f"{at:7.0f}  {text}")

    async def main(loop: VirtualLoop) -> dict[str, Any]:
        async with VirtualLab(plan, plan_file, options_of(scenario, speed=1.0), loop) as lab:
            return await play(lab, scenario, path.parent, tell)

    return run(main)


def main() -> int:
    report = played(SCENARIOS / f"{sys.argv[1]}.yaml", tells=True)
    print(json.dumps(report, indent=1, default=str))
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
