"""What to do next, from the status of every plan."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cli import show
from shared.policy.readiness import DRILL_AGE


def advice(plans: list[dict[str, Any]]) -> str:
    """What to do next: the most urgent thing of all plans first, with the commands to type."""
    steps = (_answer_the_run, _see_to_the_outage, _follow_the_run, _see_to_warnings, _way_back, _run_a_drill)
    for step in steps:
        for plan in plans:
            if message := step(plan):
                return f"Next: {message}"
    return "No action required." if plans else "Next: no plan is deployed; `coldsite plan init NAME` writes one."


def _answer_the_run(plan: dict[str, Any]) -> str | None:
    run = plan.get("run")
    if run is None or not run["waiting_for"]:
        return None
    ways = " or ".join(f"`{command}`" for command in show.commands(run).split(" or "))
    return f"{ways}. `coldsite runs show {run['run_id']}` shows the run."


def _follow_the_run(plan: dict[str, Any]) -> str | None:
    run = plan.get("run")
    return f"follow it with `coldsite runs watch {run['run_id']}`." if run else None


def _see_to_the_outage(plan: dict[str, Any]) -> str | None:
    """A site that is down without an active run."""
    look, name = plan.get("newest_look"), plan["name"]
    says = look["says"] if look else None
    if plan["active_site"] != "primary" or _fails_over(plan) or (says in ("up", None) and not plan["open_alerts"]):
        return None
    advice = f"`coldsite check {name}` checks it now"
    if says == "down":
        advice += f"; `coldsite failover {name} --reason WHY` fails over to Azure"
    if plan["paused_until"]:
        return (
            f"{advice}; automatic failover is paused, and `coldsite pause {name} --for 0s --reason WHY` ends the pause."
        )
    if plan["mode"] == "observe":
        return f"{advice}; the plan is in observe mode and starts no failover by itself."
    return f"{advice}."


def _fails_over(plan: dict[str, Any]) -> bool:
    run = plan.get("run")
    return run is not None and run["kind"] == "failover"


def _see_to_warnings(plan: dict[str, Any]) -> str | None:
    return (
        f"resolve the warning above; `coldsite plan show {plan['name']}` shows its history."
        if plan["warnings"]
        else None
    )


def _way_back(plan: dict[str, Any]) -> str | None:
    if plan["active_site"] != "recovery" or plan.get("azure_is_home"):
        return None
    return (
        f"{plan['title']} runs in Azure and is not protected there; `coldsite failback {plan['name']} --reason WHY` "
        "brings customers home (docs/failback.md)."
    )


def _run_a_drill(plan: dict[str, Any]) -> str | None:
    last = plan.get("last_good_drill")
    if plan["active_site"] != "primary":
        return None
    if last and datetime.now(UTC) - datetime.fromisoformat(last) < DRILL_AGE:
        return None
    known = f"the last successful drill was on {last[:10]}" if last else "no drill has succeeded yet"
    return f"{known}; `coldsite drill {plan['name']}` runs one."
