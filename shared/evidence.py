"""Gathering evidence: every signal of a plan is asked at once, and each answers up, down or no data."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import AzureError

from shared.cloud.health import active_issues
from shared.cloud.ids import take_apart
from shared.cloud.monitor import newest_sign
from shared.cloud.traffic import read_endpoint
from shared.errors import SettingError
from shared.plan import Detection, HttpProbe, LogsSignal, RecoveryPlan, Signal, SqlProbe, Traffic
from shared.policy.outage import Evidence, Round, State
from shared.probes.http import probe_http, resolved
from shared.probes.sql import probe_sql
from shared.runs import Order, RunRef

_MONITOR_STATES: dict[str, State] = {"Online": "up", "Degraded": "down", "CheckingEndpoint": "no_data"}


class EvidenceOrder(Order):
    """What one round of evidence needs of the plan. ``queries`` are the KQL texts by file name."""

    detection: Detection
    traffic: Traffic
    recovery_group: str
    location: str
    queries: dict[str, str]

    @classmethod
    def of(cls, plan: RecoveryPlan, run: RunRef, **fields: Any) -> EvidenceOrder:
        return cls(
            run=run,
            detection=plan.detection,
            traffic=plan.traffic,
            recovery_group=plan.recovery.resource_group,
            location=plan.recovery.location,
            queries=plan.query_texts,
            **fields,
        )


async def gather(order: EvidenceOrder, at_most: float | None = None) -> Round:
    """Asks every signal once, side by side. It never raises for a signal that fails: that is what "no data" is for.

    A signal that takes longer than the plan's slowest probe may (or than ``at_most`` seconds) has no data, so that one
    slow answer holds up none of the others.
    """
    at = datetime.now(UTC)
    limit = order.detection.slowest_answer.total_seconds()
    limit = limit if at_most is None else min(limit, at_most)
    asked = [_ask_in_time(order, name, signal, limit) for name, signal in order.detection.signals.items()]
    return Round(at=at, evidence=list(await asyncio.gather(*asked)))


async def _ask_in_time(order: EvidenceOrder, name: str, signal: Signal, limit: float) -> Evidence:
    state: State
    age = 0.0
    try:
        async with asyncio.timeout(limit):
            state, detail, age = await _ask(order, signal)
    except TimeoutError:
        state, detail = "no_data", "no answer in time"
    except SettingError as error:
        state, detail = "no_data", str(error)
    except AzureError as error:
        state, detail = "no_data", f"Azure did not answer ({type(error).__name__})"
    counts_as: State = "down" if state == "no_data" and signal.no_data == "down" else state
    return Evidence(
        signal=name,
        path=signal.path,
        role=signal.role,
        state=state,
        counts_as=counts_as,
        detail=detail,
        age=age,
        direct=signal.http is not None or signal.sql is not None,
    )


async def _ask(order: EvidenceOrder, signal: Signal) -> tuple[State, str, float]:
    """What a signal says, in words too, and how many seconds old that is."""
    if signal.http:
        return (*await _from_page(order, signal.http), 0.0)
    if signal.sql:
        return (*await _from_sql(signal.sql), 0.0)
    if signal.logs:
        return await _from_logs(order.queries[signal.logs.query], signal.logs)
    if signal.traffic_manager is not None:
        monitor = (await read_endpoint(order.traffic, order.traffic.primary)).monitor
        return _MONITOR_STATES.get(monitor, "no_data"), f"Traffic Manager says {monitor}", 0.0
    issues = await active_issues(take_apart(order.recovery_group).subscription, order.location)
    return ("down", "; ".join(issues), 0.0) if issues else ("up", f"Azure reports none in {order.location}", 0.0)


async def _from_sql(probe: SqlProbe) -> tuple[State, str]:
    """A server that refuses our own login, or whose certificate we do not trust, says nothing of the site."""
    answer = await probe_sql(probe)
    if answer.untrusted:
        return "no_data", answer.detail
    return "up" if answer.healthy else "down", answer.detail


async def _from_page(order: EvidenceOrder, probe: HttpProbe) -> tuple[State, str]:
    """A page of the primary. Whatever the recovery site's own address answers says nothing of the primary."""
    recovery = await _recovery_addresses(order.traffic)
    if same := await resolved(probe) & recovery:
        return (
            "no_data",
            f"{', '.join(sorted(same))} is the recovery site's address, so this is not the primary's answer",
        )
    answer = await probe_http(probe)
    return "up" if answer.healthy else "down", answer.detail


async def _recovery_addresses(traffic: Traffic) -> set[str]:
    found: set[str] = set()
    for probe in traffic.verify:
        if probe.http is not None:
            found |= await resolved(probe.http)
    return found


async def _from_logs(query: str, logs: LogsSignal) -> tuple[State, str, float]:
    newest = await newest_sign(query, logs.stale_after)
    if newest is None:
        return "no_data", "no sign of life on record", 0.0
    age = max(0.0, (datetime.now(UTC) - newest).total_seconds())
    state: State = "up" if age <= logs.stale_after.total_seconds() else "down"
    return state, "last sign of life", age
