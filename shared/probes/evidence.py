"""Gathering evidence: all signals of a plan are asked in parallel, and each answers up, down or no data."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

from azure.core.exceptions import AzureError, HttpResponseError

from shared.azure.log_analytics import newest_sign
from shared.azure.service_health import active_issues
from shared.azure.traffic_manager import read_endpoint
from shared.models.detection import LogsSignal, Signal
from shared.models.errors import ColdsiteError
from shared.models.evidence import Evidence, Round, State
from shared.models.orders import Sources
from shared.models.plan import Traffic
from shared.models.probes import HttpProbe
from shared.models.resource_ids import take_apart
from shared.probes.answer import ProbeAnswer
from shared.probes.http import probe_http, resolved
from shared.probes.sql import probe_sql

_MONITOR_STATES: dict[str, State] = {"Online": "up", "Degraded": "down", "CheckingEndpoint": "no_data"}
_MARGIN = 2.0
"""Seconds beyond the slowest time-out: a probe must report its own time-out before the round gives up on it."""
_LONGEST_DETAIL = 300


async def gather(sources: Sources, at_most: float | None = None) -> Round:
    """Asks every signal once, in parallel. It never raises for a failing signal: that is "no data".

    A signal that takes longer than the plan's slowest time-out (or than ``at_most`` seconds) has no data, so that a
    slow answer does not delay the others. Any exception of a signal is its "no data", with its reason.
    """
    at = datetime.now(UTC)
    limit = sources.detection.slowest_answer.total_seconds() + _MARGIN
    limit = limit if at_most is None else min(limit, at_most)
    asked = [_ask_in_time(sources, name, signal, limit) for name, signal in sources.detection.signals.items()]
    return Round(at=at, evidence=list(await asyncio.gather(*asked)))


class _Answer(NamedTuple):
    """A signal's answer. ``age`` in seconds; ``spoke``: it answered, but not about its health."""

    state: State
    detail: str
    age: float = 0.0
    spoke: bool = False


async def _ask_in_time(sources: Sources, name: str, signal: Signal, limit: float) -> Evidence:
    answer = await _asked_safely(sources, signal, limit)
    counts_as: State = (
        "down" if answer.state == "no_data" and signal.no_data == "down" and not answer.spoke else answer.state
    )
    return Evidence(
        signal=name,
        path=signal.path,
        role=signal.role,
        state=answer.state,
        counts_as=counts_as,
        detail=" ".join(answer.detail.split())[:_LONGEST_DETAIL],
        age=answer.age,
        direct=signal.http is not None or signal.sql is not None,
        spoke=answer.spoke,
    )


async def _asked_safely(sources: Sources, signal: Signal, limit: float) -> _Answer:
    try:
        async with asyncio.timeout(limit):
            return await _ask(sources, signal)
    except TimeoutError:
        return _Answer("no_data", "no answer in time")
    except ColdsiteError as error:
        return _Answer("no_data", str(error))
    except AzureError as error:
        return _Answer("no_data", f"Azure did not answer ({_azure_words(error)})")
    except Exception as error:  # noqa: BLE001 (an error of one signal must not lose the evidence of the others)
        return _Answer("no_data", f"it could not be probed ({type(error).__name__}: {error})")


def _azure_words(error: AzureError) -> str:
    """The code of a refusal, which names the missing right or the wrong query; else the type of the error."""
    code = getattr(error.error, "code", None) if isinstance(error, HttpResponseError) else None
    return str(code or type(error).__name__)


async def _ask(sources: Sources, signal: Signal) -> _Answer:
    if signal.http:
        return await _from_page(sources, signal.http)
    if signal.sql:
        # Only health counts here, and a slow measurement must not take it away.
        return _from_probe(await probe_sql(signal.sql.model_copy(update={"recovery_point_query": None})))
    if signal.logs:
        return await _from_logs(sources.queries[signal.logs.query], signal.logs)
    if signal.traffic_manager is not None:
        monitor = (await read_endpoint(sources.traffic, sources.traffic.primary)).monitor
        return _Answer(_MONITOR_STATES.get(monitor, "no_data"), f"Traffic Manager says {monitor}")
    issues = await active_issues(take_apart(sources.recovery_group).subscription, sources.location)
    if issues:
        return _Answer("down", "; ".join(issues))
    return _Answer("up", f"no incidents reported in {sources.location}")


def _from_probe(answer: ProbeAnswer) -> _Answer:
    """A fault of the probe itself says nothing of the site's health, but any answer proves that it is alive."""
    if answer.untrusted:
        return _Answer("no_data", answer.detail, spoke=answer.answered)
    return _Answer("up" if answer.healthy else "down", answer.detail)


async def _from_page(sources: Sources, probe: HttpProbe) -> _Answer:
    """A page of the primary. An answer of the recovery site's address says nothing of the primary."""
    recovery = await _recovery_addresses(sources.traffic)
    if same := await resolved(probe) & recovery:
        where = ", ".join(sorted(same))
        return _Answer("no_data", f"{where} is the recovery site's address, so this is not the primary's answer")
    return _from_probe(await probe_http(probe))


async def _recovery_addresses(traffic: Traffic) -> set[str]:
    found: set[str] = set()
    for probe in traffic.verify:
        if probe.http is not None:
            found |= await resolved(probe.http)
    return found


async def _from_logs(query: str, logs: LogsSignal) -> _Answer:
    newest = await newest_sign(query, logs.stale_after)
    if newest is None:
        return _Answer("no_data", "no sign of life on record")
    age = max(0.0, (datetime.now(UTC) - newest).total_seconds())
    return _Answer("up" if age <= logs.stale_after.total_seconds() else "down", "last sign of life", age)
