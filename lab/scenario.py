"""Scenario files: a plan, a timeline of events, and the expected result. Strict, like plan files."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ConfigDict, Field, ValidationError, model_validator

from lab.plan_copy import merge
from shared.models.base import Strict
from shared.models.durations import Duration, parse_duration
from shared.models.errors import PlanError
from shared.models.ids import Kind
from shared.models.plan import RecoveryPlan
from shared.models.runs import Outcome, Phase
from shared.plans.loader import build_plan, read_yaml

PROJECT = Path(__file__).parents[1]

# Every action with the fields it must have and those it may have.
_NUMBERS = {"status", "times", "skip", "answer", "login_number", "use_number", "query_number"}
ACTIONS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "site.stop": (frozenset({"target"}), frozenset()),
    "site.start": (frozenset({"target"}), frozenset()),
    "site.respond": (frozenset({"target", "status"}), frozenset({"body"})),
    "sql.state": (frozenset({"target", "state"}), frozenset()),
    "sql.odd": (
        frozenset({"target"}),
        frozenset(
            {
                "password",
                "login_number",
                "use_number",
                "use_text",
                "query_number",
                "query_text",
                "query_seconds",
                "hours",
            }
        ),
    ),
    "tags.lose": (frozenset({"tag"}), frozenset({"set"})),
    "hook.respond": (frozenset({"hook"}), frozenset({"status", "effect", "body", "delay"})),
    "network.cut": (frozenset({"path"}), frozenset()),
    "network.heal": (frozenset({"path"}), frozenset()),
    "replication.pause": (frozenset(), frozenset()),
    "replication.resume": (frozenset(), frozenset()),
    "replication.state": (frozenset({"state"}), frozenset()),
    "monitor.stop": (frozenset(), frozenset()),
    "monitor.start": (frozenset(), frozenset()),
    "alert.send": (frozenset(), frozenset({"file", "sample", "times"})),
    "operator.failover": (
        frozenset(),
        frozenset({"mode", "acknowledge_primary_healthy", "recovery_point", "workloads", "reason", "plan", "by"}),
    ),
    "operator.drill": (frozenset(), frozenset({"reason", "plan", "by"})),
    "operator.failback": (frozenset(), frozenset({"reason", "rehearse", "plan", "by"})),
    "operator.commit": (frozenset(), frozenset({"run", "reason", "by"})),
    "customers.keep_answers": (frozenset({"for"}), frozenset()),
    "home.copy": (frozenset({"state"}), frozenset({"lag"})),
    "operator.approve": (frozenset(), frozenset({"run", "reason", "by"})),
    "operator.reject": (frozenset(), frozenset({"run", "reason", "by"})),
    "operator.abort": (frozenset(), frozenset({"run", "reason", "by"})),
    "operator.proceed": (frozenset(), frozenset({"run", "reason", "by"})),
    "operator.acknowledge": (frozenset(), frozenset({"run", "reason", "by"})),
    "operator.retry": (frozenset(), frozenset({"run", "reason", "by", "recovery_point"})),
    "operator.settle": (frozenset({"served_from"}), frozenset({"for_good", "reason", "plan", "by"})),
    "operator.pause": (frozenset({"for"}), frozenset({"reason", "plan", "by"})),
    "arm.fault": (frozenset({"operation", "error"}), frozenset({"size", "times", "skip", "retry_after"})),
    "arm.body": (frozenset({"operation", "status", "code", "message"}), frozenset({"size", "times", "skip", "as"})),
    "arm.heal": (frozenset(), frozenset()),
    "azure.health": (frozenset({"state"}), frozenset({"service"})),
    "traffic.enable": (frozenset({"endpoint"}), frozenset()),
    "traffic.disable": (frozenset({"endpoint"}), frozenset()),
    "traffic.profile": (frozenset({"state"}), frozenset()),
    "storage.stop": (frozenset(), frozenset()),
    "storage.start": (frozenset(), frozenset()),
    "app.deploy": (frozenset({"state"}), frozenset()),
    "worker.kill": (frozenset({"when"}), frozenset({"times", "write", "for", "loses"})),
    "run.lose": (frozenset(), frozenset({"run"})),
    "timer.fire": (frozenset({"function"}), frozenset()),
}
_WORDS: dict[tuple[str, str], frozenset[str]] = {
    ("network.cut", "path"): frozenset({"public", "private", "observer"}),
    ("network.heal", "path"): frozenset({"public", "private", "observer"}),
    ("replication.state", "state"): frozenset({"good", "mirroring", "stopped", "unknown", "unpausable"}),
    ("arm.body", "as"): frozenset({"sync", "async"}),
    ("traffic.profile", "state"): frozenset({"enabled", "disabled"}),
    ("app.deploy", "state"): frozenset({"broken", "working"}),
    ("worker.kill", "write"): frozenset({"azure", "history"}),
    ("worker.kill", "loses"): frozenset({"process", "instance"}),
    ("azure.health", "state"): frozenset({"well", "trouble"}),
    ("home.copy", "state"): frozenset({"start", "stop", "stall"}),
    ("operator.settle", "served_from"): frozenset({"primary", "recovery"}),
    ("operator.failover", "mode"): frozenset({"planned", "unplanned"}),
    ("sql.state", "state"): frozenset(
        {"ONLINE", "RESTORING", "RECOVERING", "RECOVERY_PENDING", "SUSPECT", "EMERGENCY", "OFFLINE"}
    ),
}


class ScenarioError(Exception):
    """A scenario that cannot be run; the message says where and what was expected."""


def _check_kind(key: str, value: Any) -> None:
    """Numbers must be numbers and durations durations, before anything is started."""
    if (
        key in ("status", "times", "skip", "answer", "login_number", "use_number", "query_number")
        and not str(value).isdecimal()
    ):
        raise ValueError(f"{key}: {value!r} is not a number")
    if key in ("for", "retry_after", "lag"):
        seconds(value)
    if key == "recovery_point" and str(value).startswith("before:") and "T" not in str(value):
        seconds(str(value).removeprefix("before:"))


class Event(Strict):
    """One line of the timeline. ``status`` is what an operator's call must answer, when that matters."""

    model_config = ConfigDict(extra="allow", frozen=True)

    at: Duration
    do: str

    @property
    def details(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _known(self) -> Event:
        if self.do not in ACTIONS:
            raise ValueError(f"do: {self.do!r} is not one of {', '.join(sorted(ACTIONS))}")
        needed, allowed = ACTIONS[self.do]
        given = set(self.details)
        if missing := needed - given:
            raise ValueError(f"{self.do} lacks {', '.join(sorted(missing))}")
        operator = {"answer"} if self.do.startswith("operator.") else set()
        if unknown := given - needed - allowed - operator:
            raise ValueError(f"{self.do} takes no {', '.join(sorted(unknown))}")
        if self.do == "alert.send" and len(given & {"file", "sample"}) != 1:
            raise ValueError("alert.send needs exactly one of file, sample")
        for key, value in self.details.items():
            _check_kind(key, value)
            words = _WORDS.get((self.do, key))
            if words and str(value) not in words:
                raise ValueError(f"{key}: {value!r} is not one of {', '.join(sorted(words))}")
        return self


class Scenario(Strict):
    """A whole scenario. ``until`` is a simulated time or ``idle``."""

    name: str
    about: str = ""
    tags: list[Literal["smoke", "engine"]] = []
    """Where it is played besides ``make scenarios``: ``smoke`` in ``make test``, ``engine`` in ``make engine``."""
    plan: str
    plan_overrides: dict[str, Any] = {}
    times: dict[str, float] = {}
    workers: int = Field(default=1, ge=1, le=4)
    people: dict[str, list[Literal["viewer", "operator", "approver"]]] = {}
    """The people with their roles: then the app requires sign-in, and ``by`` names the actor (else the first)."""
    real_schedules: bool = False
    """Whether the plan's schedules hold as they are written, in real time; by default a drill is due when its timer
    fires."""
    speed: float = Field(default=60.0, gt=0, le=200)
    timeline: list[Event] = []
    until: Duration | Literal["idle"] = "idle"
    expect: dict[str, Any] = {}

    @model_validator(mode="after")
    def _judgeable(self) -> Scenario:
        """An expectation must be a value that can be compared."""
        words = {outcome.value for outcome in Outcome} | {phase.value for phase in Phase}
        for kind, counts in _mapping("runs", self.expect.get("runs", {})).items():
            if kind not in get_args(Kind):
                raise ValueError(f"expect.runs: {kind!r} is not one of {', '.join(get_args(Kind))}")
            for word, count in _mapping(f"runs.{kind}", counts).items():
                if bare(word) not in words or not isinstance(count, int):
                    raise ValueError(f"expect.runs.{kind}: {word}: {count!r} is not a count of an outcome or a phase")
        _mapping("steps", self.expect.get("steps", {}))
        for key, value in [*self.expect.items(), *_mapping("customers", self.expect.get("customers", {})).items()]:
            if bare(key) != key:
                seconds(value)
        return self


def _mapping(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expect.{key}: {value!r} is not a mapping")
    return value


def load_scenario(path: Path) -> tuple[Scenario, RecoveryPlan, Path]:
    """Reads a scenario with its plan, overrides applied. Raises ``ScenarioError`` or ``PlanError``, saying where."""
    try:
        data = read_yaml(path)
    except PlanError as error:
        raise ScenarioError(str(error)) from error
    if not isinstance(data, dict):
        raise ScenarioError(f"{path}: is not a scenario: expected a mapping with name, plan, timeline, expect")
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        raise ScenarioError("\n".join(_explain(path, e) for e in error.errors())) from None
    plan_file = next((p for p in (path.parent / scenario.plan, PROJECT / scenario.plan) if p.is_file()), None)
    if plan_file is None:
        raise ScenarioError(f"{path}: plan: {scenario.plan!r} is a file neither beside the scenario nor in the project")
    for number, event in enumerate(scenario.timeline):
        file = event.details.get("file")
        if file is not None and not (path.parent / str(file)).is_file():
            raise ScenarioError(f"{path}: timeline.{number}.file: {file!r} is not a file beside the scenario")
    plan = build_plan(merge(read_yaml(plan_file), scenario.plan_overrides), plan_file)
    return scenario, plan, plan_file


def _explain(path: Path, error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"] if not str(part).startswith(("function-", "literal[")))
    problem = str(error["ctx"]["error"]) if error["type"] == "value_error" else error["msg"]
    return f"{path}: {key}: {problem}"


def bare(key: str) -> str:
    """A key without ``_at_most`` or ``_at_least``."""
    return next((key.removesuffix(limit) for limit in ("_at_most", "_at_least") if key.endswith(limit)), key)


def seconds(value: Any) -> float:
    """A number of seconds, or a duration as people write it."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(value) if isinstance(value, (int, float)) else parse_duration(value).total_seconds()
