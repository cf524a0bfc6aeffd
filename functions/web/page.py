"""Drawing the page: what is stored about the plans, as sections of HTML that the page's script replaces when they
change.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from functions.http.auth import Caller
from functions.http.views import plan_view
from functions.web.situation import situation
from shared.models.base import Strict
from shared.models.durations import spoken, spoken_moment
from shared.models.evidence import Evidence
from shared.models.plan import RecoveryPlan
from shared.models.runs import Outcome, RecoveryRun
from shared.models.words import LOOKS, OUTCOMES, PHASES, SITES
from shared.policy.progress import StepLine, progress
from shared.services.end_run import steps_of
from shared.services.evidence_report import PlanEvidence
from shared.services.forecast import forecast, learned_plan
from shared.services.report import RunReport
from shared.store.runs import list_runs, read_run

_HERE = Path(__file__).parent
_RUNS_SHOWN = 6
_DRILLS_SHOWN = 12
_SAME_DAY = timedelta(hours=20)
"""A time this near needs no day."""


class PageUpdate(Strict):
    """What the page polls. ``sections`` are pieces of HTML by their ids; ``tag`` changes when one of them does."""

    at: datetime
    tag: str
    sections: dict[str, str]


@functools.cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"spoken": spoken, "utc": _utc, "local": _local}
    made.globals |= {"LOOKS": LOOKS, "OUTCOMES": OUTCOMES, "PHASES": PHASES, "SITES": SITES}
    return made


def _utc(moment: datetime) -> str:
    return spoken_moment(moment.astimezone(UTC))


def _local(moment: datetime, zone: str) -> str:
    """The customer's time, and UTC: logs and the portal speak UTC. With its day where that is not clear."""
    there = moment.astimezone(ZoneInfo(zone))
    day = "" if abs(datetime.now(UTC) - moment) < _SAME_DAY else f"{there:%a} {there.day} {there:%b} "
    return f"{day}{there:%H:%M} ({moment.astimezone(UTC):%H:%M} UTC)"


# Collecting


async def document(plans: list[RecoveryPlan], caller: Caller) -> PageUpdate:
    """Every plan as a section. From stored state only: no site and no Azure service is asked."""
    facts = await asyncio.gather(*(_facts(plan, caller) for plan in plans))
    drawn = {plan.name: _draw("plan.html", shown) for plan, shown in zip(plans, facts, strict=True)}
    return _document(drawn)


async def run_document(run_id: str, plan: RecoveryPlan, caller: Caller) -> PageUpdate:
    """One run, with its plan's situation above it. Raises ``UnknownRunError``."""
    run, above = await asyncio.gather(read_run(run_id), _facts(plan, caller))
    above |= {"run": run, "timeline": await _timeline(plan, run), "screens": _screens(plan, run, caller), "alone": True}
    return _document({plan.name: _draw("plan.html", above)})


async def _timeline(plan: RecoveryPlan, run: RecoveryRun) -> list[StepLine]:
    """An ended run is judged by the plan as declared: what later runs took must not change what was late."""
    steps, learned = await asyncio.gather(steps_of(run), learned_plan(plan))
    return progress(plan if run.outcome else learned, run, steps, datetime.now(UTC))


def _document(sections: dict[str, str]) -> PageUpdate:
    text = "".join(f"{name}\0{html}\0" for name, html in sorted(sections.items()))
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    return PageUpdate(at=datetime.now(UTC), tag=tag, sections=sections)


async def _facts(plan: RecoveryPlan, caller: Caller) -> dict[str, Any]:
    view, runs, drills, expected = await asyncio.gather(
        plan_view(plan),
        list_runs(plan.name, limit=_RUNS_SHOWN),
        list_runs(plan.name, kind="drill", limit=_DRILLS_SHOWN),
        forecast(plan, "failover"),
    )
    run = next((candidate for candidate in runs if candidate.run_id == view.active_run), None)
    seen = situation(view, datetime.now(UTC).replace(second=0, microsecond=0))
    may = [button for button in seen.buttons if button.needs in caller.roles]
    return {
        "plan": plan,
        "view": view,
        "situation": seen,
        "buttons": may,
        "on_it": seen.on_it if seen.on_it and seen.on_it.needs in caller.roles else None,
        "evidence": [_evidence_line(evidence) for evidence in (view.newest_look.evidence if view.newest_look else [])],
        "forecast": expected,
        "run": run,
        "runs": runs,
        "timeline": await _timeline(plan, run) if run else [],
        "screens": _screens(plan, run, caller),
        "chart": _chart(plan, drills),
        "alone": False,
    }


def _screens(plan: RecoveryPlan, run: RecoveryRun | None, caller: Caller) -> list[str]:
    """The workloads whose machines have a screen to look at: those of a run that builds, or whose machines serve."""
    if run is None or "operator" not in caller.roles or run.kind == "failback":
        return []
    stands = (run.outcome is None and run.builds > 0) or (run.holds_customers and run.retired_at is None)
    return (run.builds_again or list(plan.recovery.workloads)) if stands else []


def _evidence_line(evidence: Evidence) -> dict[str, str]:
    """A signal in one line: what it says, how old that is, and what was seen."""
    word = {"up": "up", "down": "down"}.get(evidence.state, "no data")
    return {
        "signal": evidence.signal,
        "word": word,
        "role": evidence.role,
        "age": spoken(evidence.age) if evidence.age >= 1 else "now",
        "detail": evidence.detail,
    }


def _chart(plan: RecoveryPlan, drills: list[RecoveryRun]) -> list[dict[str, Any]]:
    """The recovery times of successful drills, oldest first, in parts of the objective."""
    goal = plan.objectives.recovery_time
    good = [d for d in reversed(drills) if d.outcome is Outcome.SUCCEEDED and d.recovery_time_actual]
    return [
        {
            "on": f"{drill.started_at:%Y-%m-%d}",
            "took": spoken(drill.recovery_time_actual or 0),
            "part": min(1.5, timedelta(seconds=drill.recovery_time_actual or 0) / goal) if goal else 0.0,
        }
        for drill in good
    ]


# Drawing


def _draw(template: str, facts: dict[str, Any]) -> str:
    return _templates().get_template(template).render(**facts)


@functools.cache
def _inlined(name: str) -> tuple[str, str]:
    """A file that stands in the page itself, and its hash as the content security policy names it."""
    text = (_HERE / "static" / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return text, f"'sha256-{digest}'"


def whole_page(drawn: PageUpdate, title: str, source: str, caller: Caller) -> str:
    """The page as it is first loaded; readable without its script. ``source`` is what the script polls."""
    sections = {name: Markup(html) for name, html in drawn.sections.items()}  # noqa: S704 (drawn by the templates)
    style, script = (Markup(_inlined(name)[0]) for name in ("page.css", "page.js"))  # noqa: S704 (files of our own)
    return _draw(
        "page.html",
        {
            "title": title,
            "sections": sections,
            "style": style,
            "script": script,
            "source": source,
            "tag": drawn.tag,
            "at": drawn.at,
            "person": caller.name,
        },
    )


def report_page(report: RunReport) -> str:
    """The report of a run as a page that prints on one or two sheets."""
    return _draw("report.html", {"report": report, "style": Markup(_inlined("report.css")[0])})  # noqa: S704 (our own file)


def evidence_page(evidence: PlanEvidence) -> str:
    """The evidence of a period as a page that prints."""
    style = Markup(_inlined("report.css")[0])  # noqa: S704 (our own file)
    return _draw("evidence.html", {"evidence": evidence, "style": style})


def report_policy() -> str:
    """Only the report's own style."""
    return f"default-src 'none'; style-src {_inlined('report.css')[1]}; img-src data:; frame-ancestors 'none'"


def policy() -> str:
    """Only the page's own style and script, and calls to the app itself."""
    style, script = _inlined("page.css")[1], _inlined("page.js")[1]
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
