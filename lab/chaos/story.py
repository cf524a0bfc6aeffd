"""A chaos story: a scenario, and people's actions once it has come to rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from lab.plan_copy import merge
from lab.scenario import PROJECT, Event, Scenario
from shared.models.plan import RecoveryPlan
from shared.plans.loader import build_plan, read_yaml

PLAN = PROJECT / "plans" / "contoso.yaml"

QUICK: dict[str, Any] = {
    "detection": {"confirm_for": "20s", "interval": "5s"},
    "drill": {"keep_for": "10s"},
    "fence": {"hook": "FENCE_HOOK"},
    "replication": {"pause_limit": "15m"},
    "recovery": {
        "retry_after": "1s",
        "operation_timeout": "4m",
        "probe": {"interval": "2s", "timeout": "2m", "successes": 2},
        "expected": {"run_command": "10s", "machine": "20s", "delete": "10s"},
        "workloads": {
            "sql": {"expected_boot": "40s", "boot_timeout": "2m"},
            "iis": {"expected_boot": "30s", "boot_timeout": "2m"},
        },
    },
}
"""A short confirmation, and an Azure that takes seconds where the real one takes minutes. The replica may stay frozen
for longer than in the example: on a busy machine a worker needs seconds to come back, which are minutes here.
"""

TIMES = {
    "boot_sql": 40.0,
    "boot_iis": 30.0,
    "sql_recovering": 5.0,
    "machine": 20.0,
    "run_command": 10.0,
    "delete_machine": 10.0,
}


@dataclass(frozen=True)
class Chapter:
    """The actions once every run has ended or waits for a person; ``at`` counts from that moment.

    ``says`` must be part of the waiting run's question.
    """

    events: tuple[dict[str, Any], ...]
    says: str = ""


@dataclass(frozen=True)
class Story:
    """A scenario in the words of scenario files, followed by ``chapters``.

    ``crash_in`` names the activities whose crash points are tried in it; None stands for all that occur.
    """

    name: str
    about: str
    timeline: tuple[dict[str, Any], ...]
    chapters: tuple[Chapter, ...] = ()
    expect: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    crash_in: frozenset[str] | None = None
    without: tuple[str, ...] = ()
    """Timers that are switched off, where their moment would make one playing differ from another."""
    closes: bool = False
    """At the end everything is repaired, and every run that waits is answered until it ends."""

    def scenario(self, *more: dict[str, Any]) -> Scenario:
        """The story's first part as a scenario; ``more`` events are added to its timeline."""
        return Scenario.model_validate(
            {
                "name": self.name,
                "about": self.about,
                "plan": str(PLAN.relative_to(PROJECT)),
                "plan_overrides": merge(QUICK, self.overrides),
                "times": TIMES | self.times,
                "timeline": [*more, *self.timeline],
                "expect": self.expect,
            }
        )

    def plan(self) -> RecoveryPlan:
        return build_plan(merge(merge(_plan_data(), QUICK), self.overrides), PLAN)

    def events(self, chapter: Chapter) -> list[Event]:
        return [Event.model_validate(event) for event in chapter.events]


@cache
def _plan_data() -> Any:
    return read_yaml(PLAN)
