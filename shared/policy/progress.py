"""A run as people follow it: its steps, expected and actual, what is late, and its objectives. Pure."""

from __future__ import annotations

from datetime import datetime

from shared.models.base import Strict
from shared.models.durations import spoken
from shared.models.plan import RecoveryPlan
from shared.models.runs import RecoveryRun
from shared.models.steps import Step, StepStatus
from shared.models.words import STEPS, step_words
from shared.policy.timeline import expected_timeline

_LATE = 1.25
"""A step is late once it takes so many times as long as expected, and half a minute."""


class StepLine(Strict):
    """One line of the timeline. Seconds: ``begins`` since the run began, ``took`` None while it goes on, ``expected``
    None where nothing is expected of it.
    """

    words: str
    status: StepStatus
    begins: float
    took: float | None
    expected: float | None
    late: bool
    error: str | None


class Measure(Strict):
    """An objective and what was measured against it, in seconds; ``met`` is None where nothing was measured."""

    name: str
    objective: float
    measured: float | None

    @property
    def met(self) -> bool | None:
        return None if self.measured is None else self.measured <= self.objective

    def sentence(self, time_factor: float = 1.0) -> str:
        """A sentence; ``time_factor`` multiplies every duration."""
        goal = spoken(self.objective * time_factor)
        if self.measured is None:
            return f"{self.name}: not measured; the objective is {goal}."
        verdict = "met" if self.met else "MISSED"
        return f"{self.name}: {spoken(self.measured * time_factor)}; the objective is {goal}: {verdict}."


def progress(plan: RecoveryPlan, run: RecoveryRun, steps: list[Step], now: datetime) -> list[StepLine]:
    """The steps that people know, in the order in which they began; steps of one name are one line."""
    wanted = (
        {}
        if run.kind == "failback"
        else {(planned.name, planned.target): planned for planned in expected_timeline(plan)}
    )
    grouped: dict[str, list[Step]] = {}
    for step in sorted(steps, key=lambda step: step.started_at):
        if step.name in STEPS and step.status != "skipped":
            grouped.setdefault(step_words(step.name, step.target), []).append(step)
    lines: list[StepLine] = []
    for words, parts in grouped.items():
        first, last = parts[0], parts[-1]
        began = min(part.started_at for part in parts)
        ended = None if last.ended_at is None else max(part.ended_at for part in parts if part.ended_at)
        expected = wanted.get((first.name, first.target.split("/")[0])) or wanted.get((first.name, "all"))
        usual = expected.ends - expected.begins if expected else None
        late = usual is not None and ((ended or now) - began).total_seconds() > usual * _LATE + 30
        lines.append(
            StepLine(
                words=words,
                status=last.status,
                begins=(began - run.started_at).total_seconds(),
                took=(ended - began).total_seconds() if ended else None,
                expected=usual,
                late=late,
                error=next((part.error for part in reversed(parts) if part.error), None),
            )
        )
    return lines
