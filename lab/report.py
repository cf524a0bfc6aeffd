"""A scenario's result, in simulated time, and its comparison with the expectation."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from lab.audit import journal_intact
from lab.scenario import Scenario, bare, seconds
from lab.site.sql_server import SqlServer
from lab.twin import Lab
from shared.models import ids
from shared.models.runs import RecoveryRun
from shared.models.steps import Step
from shared.models.verdict import Verdict


async def build_report(lab: Lab, scenario: Scenario) -> dict[str, Any]:
    """One object with every value that an expectation can name; durations are simulated seconds."""
    runs = await _all_runs(lab)
    enabled = [name for name in ("primary", "recovery") if _enabled(lab, name)]
    active = {0: "none", 1: enabled[0] if enabled else "none", 2: "both"}[len(enabled)]
    tally = lab.customers.tally
    _, view = await lab.call("GET", f"plans/{lab.plan.name}")
    return {
        "scenario": scenario.name,
        "passed": False,
        "failures": [],
        "speed": lab.clock.speed,
        "engine": lab.functions.engine.name,
        "processor_wait": round(lab.processor_wait.worst, 3),
        "active_site": active,
        "primary_latched": enabled == ["recovery"],
        "protected": view.get("protected", False),
        "runs": [_run_view(lab, run, steps) for run, steps in runs],
        "customers": {
            "requests": tally.requests,
            "failed": tally.failed,
            "served_by": {site: tally.served_by.get(site, 0) for site in ("primary", "recovery")},
            "dual_served_seconds": tally.dual_served_seconds(lab.customers.window),
            "orders_lost": orders_lost(lab, active),
            "dark_seconds": round(tally.dark_seconds(lab.clock.now), 1),
            "write_stop_seconds": round(tally.write_stop_seconds(lab.clock.now), 1),
        },
        "resources_left": _resources_left(lab, [run for run, _ in runs], active, view.get("retiring")),
        "arm_calls": {
            "total": sum(lab.arm.calls.values()),
            "throttled": lab.arm.throttled,
            "by_operation": dict(sorted(lab.arm.calls.items())),
            "permissions": sorted(lab.identity.used),
        },
        "journal_intact": await journal_intact(lab),
        "warnings": view.get("warnings", []),
        "events": [event["text"] for event in view.get("events", [])],
    }


async def _all_runs(lab: Lab) -> list[tuple[RecoveryRun, list[Step]]]:
    """Every run, oldest first, with its steps."""
    _, body = await lab.call("GET", "runs?limit=200")
    found = []
    details = await asyncio.gather(*(lab.call("GET", f"runs/{run['run_id']}") for run in body.get("runs", [])))
    for _, detail in reversed(details):
        steps = [Step.model_validate(step) for step in detail.pop("steps", [])]
        found.append((RecoveryRun.model_validate(detail), steps))
    return found


def _enabled(lab: Lab, which: str) -> bool:
    endpoint = lab.plan.traffic.primary if which == "primary" else lab.plan.traffic.recovery
    return lab.traffic.endpoints[endpoint.endpoint.lower()].enabled


def _run_view(lab: Lab, run: RecoveryRun, steps: list[Step]) -> dict[str, Any]:
    def at(moment: datetime | None) -> float | None:
        return None if moment is None else round(lab.clock.at(moment), 1)

    def scaled(value: float | None) -> float | None:
        return None if value is None else round(value * lab.clock.speed, 1)

    return {
        "run_id": run.run_id,
        "plan": run.plan,
        "kind": run.kind,
        "mode": run.mode,
        "trigger": run.trigger,
        "phase": run.phase.value,
        "outcome": run.outcome.value if run.outcome else None,
        "verdict": spoken_verdict(run, lab.clock.speed),
        "started_at": at(run.started_at),
        "ended_at": at(run.ended_at),
        "recovery_time_actual": scaled(run.recovery_time_actual),
        "recovery_point_actual": scaled(run.recovery_point_actual),
        "steps": [
            {
                "name": step.name,
                "target": step.target,
                "status": step.status,
                "attempts": step.attempts,
                "started_at": at(step.started_at),
                "ended_at": at(step.ended_at),
                "error": step.error,
            }
            for step in steps
        ],
    }


def spoken_verdict(run: RecoveryRun, speed: float) -> str | None:
    """The run's sentences in simulated time: the decision, what it waits for, why it ended."""
    detail = run.verdict_detail
    decision = Verdict.model_validate(detail).sentence(speed) if detail else run.verdict
    later = [s for s in (run.waiting_for, run.ended_because) if s and s != run.verdict]
    sentences = [decision, *(sentence.replace(run.verdict or "\0", decision or "") for sentence in later)]
    return " ".join(part for part in sentences if part) or None


def orders_lost(lab: Lab, active: str) -> int:
    """Acknowledged orders that the active site does not have."""
    site = "primary" if active in ("primary", "both") else "recovery"
    stand = lab.sites.stands.get(f"{site}/{lab.sites.main_sql}")
    kept = {o.number for o in stand.server.orders()} if stand and isinstance(stand.server, SqlServer) else set()
    return sum(order.number not in kept for order in lab.customers.tally.orders)


def _resources_left(lab: Lab, runs: list[RecoveryRun], active: str, retiring: str | None) -> list[str]:
    """Tagged resources of runs, but for those of the recovery site in service, and those that are kept for a while
    after a failback.
    """
    serving = (
        {r.run_id for r in runs if r.kind == "failover" and (r.outcome == "succeeded" or r.may_serve)}
        if active != "primary"
        else set()
    )
    before = {r.run_id: r.replaces for r in runs}
    line = []
    while retiring:
        line.append(retiring)
        retiring = before.get(retiring)
    kept = serving | {r.run_id for r in runs if r.outcome is None} | {*line}
    left = []
    for resource in lab.compute.resources.values():
        run_id = resource["tags"].get(ids.TAG_RUN)
        if run_id and run_id not in kept:
            left.append(str(resource["id"]))
    return sorted(left)


# Judging


def judge(report: dict[str, Any], expect: dict[str, Any]) -> list[str]:
    """The differences from the expectation, one sentence each."""
    failures: list[str] = []
    newest = report["runs"][-1] if report["runs"] else {}
    for key, wanted in expect.items():
        if key == "runs":
            failures += _judge_runs(report["runs"], wanted)
        elif key in ("verdict_mentions", "warnings_mention", "events_mention"):
            text = " ".join(str(run["verdict"] or "") for run in report["runs"])
            text = text if key == "verdict_mentions" else " ".join(report[key.removesuffix("_mention")])
            missing = [word for word in _listed(wanted) if str(word).lower() not in text.lower()]
            failures += [f"{key}: {word!r} does not occur in: {text}" for word in missing]
        elif key == "steps":
            failures += _judge_steps(newest.get("steps", []), wanted)
        else:
            name = bare(key)
            place = report if name in report else newest if name in newest else report["customers"]
            failures += _compare(key, place, wanted, key)
    return failures


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _compare(key: str, place: dict[str, Any], wanted: Any, path: str) -> list[str]:
    name = bare(key)
    if path.startswith("arm_calls.by_operation.") and name not in place:
        place = {name: 0}
    if name not in place:
        return [f"{path}: the report has no {name}"]
    actual = place[name]
    if name != key:
        too_far = actual is None or (actual > seconds(wanted) if key.endswith("_at_most") else actual < seconds(wanted))
        return [f"{path}: {wanted} expected, {actual} found"] if too_far else []
    if isinstance(wanted, dict) and isinstance(actual, dict):
        return [f for inner, value in wanted.items() for f in _compare(inner, actual, value, f"{path}.{inner}")]
    return [] if actual == wanted else [f"{path}: {wanted!r} expected, {actual!r} found"]


def _judge_runs(runs: list[dict[str, Any]], wanted: Any) -> list[str]:
    """Counts of runs by kind, and by outcome or unfinished phase. Every run of a kind that is named must be counted."""
    counts: dict[str, dict[str, int]] = {}
    for run in runs:
        kind = counts.setdefault(run["kind"], {})
        word = run["outcome"] or run["phase"]
        kind[word] = kind.get(word, 0) + 1
    failures: list[str] = []
    for kind, expected in (wanted or {}).items():
        actual = counts.get(kind, {})
        for word, number in (expected or {}).items():
            found = actual.get(bare(word), 0)
            fits = found <= number if word.endswith("_at_most") else found >= number
            if not (fits if bare(word) != word else found == number):
                failures.append(f"runs.{kind}.{word}: {number} expected, {found} found ({actual})")
    return failures


def _judge_steps(steps: list[dict[str, Any]], wanted: dict[str, Any]) -> list[str]:
    """By step name: the status that every such step of the newest run must have; ``absent`` means none happened."""
    failures = []
    for name, status in wanted.items():
        found = {step["status"] for step in steps if step["name"] == name} or {"absent"}
        if found != {status}:
            failures.append(f"steps.{name}: {status} expected, {', '.join(sorted(found))} found")
    return failures
