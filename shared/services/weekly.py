"""Five lines on Monday: whether all is well, for addresses that subscribe to ``weekly``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from shared.models.durations import spoken, spoken_moment
from shared.models.errors import NotDeliveredError
from shared.models.orders import Message
from shared.models.plan import RecoveryPlan
from shared.models.runs import Outcome, RecoveryRun
from shared.models.site_state import SiteState
from shared.models.words import SITES
from shared.services.announce import deliver
from shared.store import site_state
from shared.store.runs import list_runs

_FROM_HOUR = 8
_RUNS_LOOKED_AT = 200


async def weekly(plan: RecoveryPlan, now: datetime) -> None:
    """Sends the lines once a week, on Monday from eight o'clock in the plan's time zone. An address that does not
    accept them is a warning of the plan, and is not tried again: the week is claimed first.
    """
    addresses = sorted({notification.url_setting for notification in plan.notify if "weekly" in notification.on})
    local = now.astimezone(ZoneInfo(plan.time_zone))
    week = f"{local:%G-W%V}"
    if not addresses or local.isoweekday() != 1 or local.hour < _FROM_HOUR:
        return

    before = await site_state.read_state(plan.name)
    if before.told_week == week or not await _claimed(plan.name, week):
        return
    text = "\n".join(lines(plan, before, await list_runs(plan.name, limit=_RUNS_LOOKED_AT), now))
    for address in addresses:
        try:
            await deliver(plan.name, Message(url_setting=address, title=f"This week: {plan.title}", text=text))
        except NotDeliveredError:
            continue


async def _claimed(plan: str, week: str) -> bool:
    """Whether this call is the one that sends the week's lines: two sweeps may meet."""
    mine = False

    def claim(state: SiteState) -> dict[str, Any]:
        nonlocal mine
        mine = state.told_week != week
        return {"told_week": week} if mine else {}

    await site_state.change_state(plan, claim)
    return mine


def lines(plan: RecoveryPlan, state: SiteState, runs: list[RecoveryRun], now: datetime) -> list[str]:
    """The five lines: where customers are, readiness, the last drill, the data, and the last week's runs. ``runs`` are
    newest first.
    """
    return [
        _served(plan, state),
        _readiness(state),
        _drill(plan, runs),
        _data(state),
        _week(state, [run for run in runs if now - run.started_at < timedelta(days=7)]),
    ]


def _served(plan: RecoveryPlan, state: SiteState) -> str:
    first = next(iter(state.warnings.values()), "")
    warned = f" {_counted(len(state.warnings), 'warning')}: {first}" if first else ""
    return f"Customers are served from {SITES[state.active_site]}; mode {plan.detection.mode}.{warned}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _readiness(state: SiteState) -> str:
    findings = state.readiness.get("findings")
    if findings is None:
        return "Readiness has not been looked at yet."
    at = f"Readiness on {state.readiness['at'][:10]}"
    if not findings:
        return f"{at}: nothing stands in the way of a failover."
    blockers = sum(finding["severity"] == "blocker" for finding in findings)
    counted = f"{_counted(blockers, 'blocker')}, {_counted(len(findings) - blockers, 'warning')}"
    return f"{at}: {counted}. First: {findings[0]['found']}"


def _drill(plan: RecoveryPlan, runs: list[RecoveryRun]) -> str:
    good = next((run for run in runs if run.kind == "drill" and run.outcome is Outcome.SUCCEEDED), None)
    if good is None or good.ended_at is None:
        return f"None of the newest {_RUNS_LOOKED_AT} runs is a successful drill."
    took = f" and took {spoken(good.recovery_time_actual)}" if good.recovery_time_actual is not None else ""
    goal = spoken(plan.objectives.recovery_time.total_seconds())
    return f"The last successful drill was on {good.ended_at:%Y-%m-%d}{took}; the objective is {goal}."


def _data(state: SiteState) -> str:
    point = f"the newest recovery point is from {spoken_moment(state.last_point_at)}" if state.last_point_at else None
    none = "there is no scheduled recovery point"
    if state.active_site == "recovery":
        return f"Customers are in Azure, and replication does not protect it; {point or none}."
    reach = f"Azure's data reach {spoken_moment(state.data_until)}" if state.data_until else "Their age is unknown"
    return f"{reach}; {point or none}."


def _week(state: SiteState, runs: list[RecoveryRun]) -> str:
    failovers = [run for run in runs if run.kind == "failover" and run.cutover.is_committed and not run.replaces]
    checks = [run for run in runs if run.kind == "failover" and not run.holds_customers]
    false = sum(run.outcome is Outcome.STOOD_DOWN for run in checks)
    others = ", ".join(f"{sum(run.kind == kind for run in runs)} {kind}s" for kind in ("drill", "failback"))
    return (
        f"Last seven days: {len(checks)} checks of the primary that moved no customers ({false} false alarms), "
        f"{len(failovers)} failovers, {others}; {state.short_failures} short failures so far."
    )
