"""Runs in a terminal: words, tables, and a timeline of durations and waits."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from shared.models import ids
from shared.models.durations import spoken
from shared.models.plan import RecoveryPlan
from shared.models.runs import Hindsight
from shared.models.verdict import Verdict
from shared.models.words import LOOKS, OUTCOMES, PHASES, SITES, STEPS, step_words
from shared.policy.progress import Measure
from shared.policy.timeline import dependency_costs, expected_duration, expected_timeline

_COLOURS = {"succeeded": "green", "failed": "red"}
"""Of an outcome; every other is yellow."""
_WIDE = 100
"""Columns from which a table shows whole run ids."""


def state_words(run: dict[str, Any]) -> str:
    """A run's state in the administrator's words."""
    if run["outcome"]:
        return OUTCOMES[run["outcome"]]
    return PHASES[run["phase"]]


def colour(run: dict[str, Any]) -> str:
    if run["outcome"]:
        return _COLOURS.get(run["outcome"], "yellow")
    return "red" if run["waiting_for"] else "cyan"


def decision(run: dict[str, Any], factor: float) -> str | None:
    """The decision in one sentence, its durations multiplied for a lab."""
    if run.get("verdict_detail"):
        return Verdict.model_validate(run["verdict_detail"]).sentence(factor)
    verdict: str | None = run.get("verdict")
    return verdict


def _moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def timeline(run: dict[str, Any], factor: float = 1.0) -> RenderableType:
    """One bar a step, in the order in which they began, as wide as the terminal allows."""
    width = max(10, min(46, console().width - 46))
    spans: dict[str, list[Any]] = {}
    for step in run["steps"]:
        if step["name"] not in STEPS or step["status"] == "skipped":
            continue
        key = step_words(step["name"], step["target"])
        start, end = _moment(step["started_at"]), _moment(step["ended_at"])
        span = spans.setdefault(key, [start, end, step["status"]])
        span[0] = min(span[0], start)
        span[1] = max(span[1], end) if span[1] and end else None
        if step["status"] == "failed":
            span[2] = "failed"
    began = _moment(run["started_at"])
    ends = [span[1] for span in spans.values() if span[1]]
    if not spans or began is None or not ends:
        return Text("No steps yet.", style="dim")
    total = max((max(ends) - began).total_seconds(), 0.001)
    table = Table.grid(padding=(0, 1))
    for words, (start, end, status) in sorted(spans.items(), key=lambda item: item[1][0]):
        left = round((start - began).total_seconds() / total * width)
        right = width if end is None else round((end - began).total_seconds() / total * width)
        bar = Text(" " * min(left, width - 1) + ("━" * max(1, right - left)))
        bar.stylize("red" if status == "failed" else "cyan" if end is None else "green")
        seconds = None if end is None else (end - start).total_seconds() * factor
        table.add_row(Text(words), bar, Text("running" if seconds is None else spoken(seconds), style="dim"))
    return table


def run_details(run: dict[str, Any], factor: float = 1.0) -> RenderableType:
    """A whole run: its kind, the decision and its reason, the timeline, the result."""
    head = Text.assemble(
        (f"{run['kind']} {run['run_id']}", "bold"),
        "  ",
        (state_words(run), colour(run)),
        f"  started by {run['trigger']}",
    )
    parts: list[RenderableType] = [head, Text(f"Reason: {run['reason']}", style="dim")]
    if text := decision(run, factor):
        parts.append(Text(f"Decision: {text}"))
    if run.get("waiting_for"):
        until = f" (until {moment(run['waiting_until'])})" if run.get("waiting_until") else ""
        parts.append(Text(f"Waiting for you{until}: {run['waiting_for']}", style="bold red"))
        parts.append(Text(f"Commands: {commands(run)}", style="bold"))
    parts.append(timeline(run, factor))
    facts = []
    if run.get("recovery_time_actual") is not None:
        facts.append(f"recovery time {spoken(run['recovery_time_actual'] * factor)}")
    if run.get("recovery_point_actual") is not None:
        age = spoken(run["recovery_point_actual"] * factor)
        facts.append(f"data {age} older than the recovery point" if run["kind"] == "drill" else f"data loss {age}")
    if facts:
        parts.append(Text("Measured: " + ", ".join(facts)))
    parts += [
        Text(f"Failed step: {s['name']} {s['target']}: {s['error']}", style="red") for s in run["steps"] if s["error"]
    ]
    if run.get("hindsight"):
        parts.append(Text(Hindsight.model_validate(run["hindsight"]).sentence(factor)))
    if run.get("ended_because") and run["ended_because"] != run.get("verdict"):
        parts.append(Text(run["ended_because"]))
    return Group(*parts)


def points_table(points: list[dict[str, Any]]) -> RenderableType:
    """Recovery points, newest first."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("recovery point", "taken", "data from", "consistency"):
        table.add_column(column)
    for point in points:
        table.add_row(
            point["id"],
            moment(point["taken_at"]),
            moment(point["data_until"]) if point["data_until"] else "unknown",
            point["consistency"],
        )
    return table


def commands(run: dict[str, Any]) -> str:
    """The commands that answer a run's question."""
    return " or ".join(f"coldsite {word} {run['run_id']}" for word in run.get("answers") or ["retry"])


def short_id(run_id: str) -> str:
    """What a person types in place of a run's id: its kind's letter and its random end."""
    name = ids.parse_run_id(run_id)
    return f"{name.kind[0] if name.kind != 'failback' else 'b'}-{name.salt}" if name else run_id


def runs_table(runs: list[dict[str, Any]], factor: float = 1.0) -> RenderableType:
    """Runs, newest first. A narrow terminal shows short ids, and no trigger."""
    wide = console().width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="dim")
    columns = ("run", "kind", "state", "started by", "began (UTC)", "recovery time")
    for column in columns:
        if wide or column != "started by":
            table.add_column(column, no_wrap=column in ("run", "began (UTC)"), overflow="fold")
    for run in runs:
        measured = run["recovery_time_actual"]
        cells = [
            run["run_id"] if wide else short_id(run["run_id"]),
            run["kind"],
            Text(state_words(run), style=colour(run)),
            run["trigger"],
            run["started_at"][:16].replace("T", " "),
            "" if measured is None else spoken(measured * factor),
        ]
        table.add_row(*(cell for cell, name in zip(cells, columns, strict=True) if wide or name != "started by"))
    return table


def plan_line(plan: dict[str, Any], factor: float = 1.0) -> Text:
    """The status of one plan: the active site, the newest check, the runs in progress, the warnings."""
    line = Text.assemble(
        (plan["title"], "bold"), f" ({plan['name']}): customers are sent to {SITES[plan['active_site']]}"
    )
    if plan["primary_latched"]:
        line.append(", locked to Azure")
    if plan.get("azure_is_home"):
        line.append(", which is the home now", "yellow")
    if plan["mode"] != "automatic":
        line.append(f"; mode {plan['mode']}", "yellow")
    if plan["paused_until"]:
        line.append(f"; automatic failover is paused until {moment(plan['paused_until'])}", "yellow")
    if plan["open_alerts"]:
        alerts = "1 open alert" if plan["open_alerts"] == 1 else f"{plan['open_alerts']} open alerts"
        line.append(f"; {alerts}", "yellow")
    if (look := plan.get("newest_look")) and plan["active_site"] != "recovery":
        style = "bold red" if look["says"] != "up" and plan["active_site"] == "primary" else ""
        since = f" since {moment(look['since'])}" if look["says"] != "up" else ""
        line.append(f"\n  The primary site {LOOKS[look['says']]}{since} (newest check {moment(look['at'])})", style)
    if plan["next_look_not_before"]:
        when = moment(plan["next_look_not_before"])
        line.append(f"\n  Next check at {when}, or as soon as another signal fails", "yellow")
    if run := plan.get("run"):
        line.append(f"\n  {run['kind'].capitalize()} {run['run_id']}: {PHASES[run['phase']]}", "cyan")
        if run["waiting_for"]:
            until = f" (until {moment(run['waiting_until'])})" if run["waiting_until"] else ""
            line.append(f"\n  Waiting for you{until}: {run['waiting_for']}", "bold red")
    for warning in plan["warnings"]:
        line.append(f"\n  {warning}", "bold red")
    return line


def replica_line(plan: dict[str, Any]) -> str:
    """The state of replication, and the age of its data."""
    replica = plan.get("replica")
    if replica is None or replica["looked_at"] is None:
        return "Replication: not checked yet."
    state = replica["problem"] or replica["state"]
    data = f"data until {moment(replica['data_until'])}" if replica["data_until"] else "age of the data unknown"
    return f"Replication: {state.rstrip('.')}; {data} (checked {moment(replica['looked_at'])})."


def moment(value: str) -> str:
    """A time for display, with its date unless it is today."""
    at = datetime.fromisoformat(value).astimezone(UTC)
    today = at.date() == datetime.now(UTC).date()
    return f"{at:%H:%M} UTC" if today else f"{at:%Y-%m-%d %H:%M} UTC"


def check_lines(found: dict[str, Any]) -> RenderableType:
    """One line for each check: its result, or what it needs where it has no data."""
    table = Table.grid(padding=(0, 2))
    words = {"up": ("up", "green"), "down": ("down", "red"), "no_data": ("no data", "yellow")}
    for item in found["evidence"]:
        word, style = words[item["state"]]
        if item["role"] == "recovery":
            word = {"up": "no incidents", "down": "incident"}.get(item["state"], word)
        old = f", {spoken(item['age'])} ago" if item["age"] >= 1 else ""
        path = item["role"] if item["role"] != "evidence" else item["path"]
        table.add_row(
            Text(item["signal"]), Text(path, style="dim"), Text(word, style=style), Text(item["detail"] + old)
        )
    return table


def events(happened: list[dict[str, Any]]) -> RenderableType:
    """Events between runs, newest first."""
    table = Table.grid(padding=(0, 2))
    for event in happened:
        table.add_row(Text(event["at"][5:16].replace("T", " "), style="dim"), Text(event["text"]))
    return table


def expected_lines(plan: RecoveryPlan) -> RenderableType:
    """The expected timeline of a failover, and what each dependency costs."""
    table = Table.grid(padding=(0, 2))
    for step in expected_timeline(plan):
        words = step_words(step.name, step.target)
        table.add_row("   ", spoken(step.begins), "to", spoken(step.ends), words)
    title = f"  Expected, after the decision: customers are sent to Azure after {_minutes(expected_duration(plan))}."
    costs = [
        Text(f"  {name} depends on {needed}: this costs {_minutes(cost)}.")
        for (name, needed), cost in dependency_costs(plan).items()
    ]
    return Group(Text(title), table, *_prepared(plan), *costs)


def _prepared(plan: RecoveryPlan) -> list[Text]:
    if plan.recovery.prepare == "when_confirmed" or plan.fence:
        return []
    first = min(step.begins for step in expected_timeline(plan) if step.name == "create_machine")
    return [Text(f"  An automatic failover does the first {spoken(first)} of it while it confirms the outage.")]


def _minutes(duration: timedelta) -> str:
    return spoken(duration.total_seconds()) if duration else "no time"


def forecast_lines(found: dict[str, Any], factor: float = 1.0) -> RenderableType:
    """What a run would do now: duration, data at risk, blockers. ``factor`` multiplies durations."""
    table = Table.grid(padding=(0, 2))
    for step in found["steps"]:
        words = step_words(step["name"], step["target"])
        table.add_row("   ", spoken(step["begins"] * factor), "to", spoken(step["ends"] * factor), words)
    end = "customers are sent to Azure" if found["kind"] == "failover" else "the drill has verified the site"
    took = found["measured_seconds"]
    measured = f" The last drill took {spoken(took * factor)}." if took else ""
    age = found["data_age"]
    data = f"are {spoken(age * factor)} old at most" if age is not None else "are of unknown age"
    return Group(
        *(Text(f"  {sentence}") for sentence in found["does"]),
        Text(f"Expected, after the decision: {end} after {spoken(found['expected_seconds'] * factor)}.{measured}"),
        table,
        Text(f"Azure's data {data}."),
        *(Text(warning, style="yellow") for warning in found["warnings"]),
        *(Text(f"Blocked: {blocker}", style="bold red") for blocker in found["blockers"]),
    )


def failback_lines(found: dict[str, Any], factor: float = 1.0) -> RenderableType:
    """Both sites' databases, what a failback would do, and what stands in its way."""
    lag = "of unknown length" if found["lag"] is None else f"of {spoken(found['lag'] * factor)}"
    stranded = "could not be counted" if found["stranded"] is None else f"{found['stranded']}"
    sides = [f"  {side}: {detail}" for side in ("home", "azure") for detail in found[side].values()]
    return Group(
        *(Text(line) for line in sides),
        Text(f"  Home's lag is {lag}; rows that only home has from before the failover: {stranded}."),
        *(Text(f"  {sentence}") for sentence in found["does"]),
        *(Text(f"Not ready: {blocker}", style="bold red") for blocker in found["blockers"]),
    )


def settlement_lines(found: dict[str, Any]) -> RenderableType:
    """What was seen of both sites, and the sentence of the settlement."""
    seen = found["found"]
    recovery = "serves" if seen["recovery_serves"] else "does not serve"
    return Group(
        Text(f"Traffic Manager routes to {SITES[seen['routes_to']]}."),
        Text(f"The primary site {'serves' if seen['primary_serves'] else 'is not seen serving'}."),
        Text(f"The recovery site {recovery}: {seen['recovery_detail']}."),
        Text(found["sentence"], style="bold"),
    )


def history_lines(found: dict[str, Any]) -> RenderableType:
    """The result of verifying a plan's history."""
    count = f"{found['documents']} ended run{'' if found['documents'] == 1 else 's'}"
    if found["problems"]:
        lines = [Text(f"{found['plan']}: the history was changed.", style="bold red")]
        return Group(*lines, *(Text(f"  {problem}") for problem in found["problems"]))
    copies = "" if found["copies"] is None else f", {found['copies']} compared with their copies outside the table"
    return Text(f"{found['plan']}: the history is intact ({count}{copies}).", style="green")


def readiness_lines(found: dict[str, Any]) -> RenderableType:
    """What would go wrong, blockers first, each with the reason and the remedy."""
    if not found["findings"]:
        return Text(f"{found['plan']}: ready. Nothing was found that would stop a failover.", style="green")
    lines: list[RenderableType] = []
    for finding in found["findings"]:
        style = "bold red" if finding["severity"] == "blocker" else "yellow"
        lines.append(Text(f"{finding['severity'].upper()}: {finding['found']}", style=style))
        lines.append(Text(f"  {finding['why']} {finding['fix']}"))
    word = "ready, with warnings" if found["ready"] else "NOT ready"
    return Group(Text(f"{found['plan']}: {word}.", style="bold"), *lines)


def report_lines(found: dict[str, Any], factor: float = 1.0) -> RenderableType:
    """A run's report in a terminal; ``factor`` multiplies durations."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("step", "began after", "took", "expected", "result"):
        table.add_column(column, overflow="fold")
    for line in found["timeline"]:
        took, expected = line["took"], line["expected"]
        table.add_row(
            line["words"],
            spoken(line["begins"] * factor),
            "in progress" if took is None else spoken(took * factor),
            "" if expected is None else spoken(expected * factor),
            Text(line["status"] + (", late" if line["late"] else ""), style="yellow" if line["late"] else ""),
        )
    run = found["run"]
    return Group(
        Text(f"{found['title']}: {run['kind']} {run['run_id']}: {state_words(run)}", style="bold"),
        Text(run["ended_because"] or ""),
        *(Text(Measure.model_validate(measure).sentence(factor)) for measure in found["measures"]),
        table,
        *(Text(f"  {line}") for line in found["people"]),
        Text(f"Left behind: {', '.join(found['left']) or 'nothing'}."),
        Text(f"History: {found['history']}."),
    )


def hindsight(runs: list[dict[str, Any]]) -> str | None:
    """The number of observed failovers, and how many would have been right."""
    observed = [run for run in runs if run["outcome"] == "observed"]
    if not observed:
        return None
    judged = [Hindsight.model_validate(run["hindsight"]) for run in observed if run["hindsight"]]
    right = sum(judgement.right for judgement in judged)
    times = f"{len(observed)} time{'s' if len(observed) > 1 else ''}"
    return (
        f"Observe mode recorded a failover {times}: {right} would have been right, {len(judged) - right} would have "
        f"been wrong, and {len(observed) - len(judged)} cannot be judged yet."
    )


def console(*, stderr: bool = False) -> Console:
    """Without a terminal, lines are not wrapped."""
    width = None if sys.stdout.isatty() else 200
    return Console(highlight=False, stderr=stderr, width=width)
