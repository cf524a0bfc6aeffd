"""Azure Monitor: Log Analytics that runs the real KQL, and a stateful metric alert that posts the common schema."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import duckdb
import duckdb_kql
from aiohttp import web

from lab.clock import Clock
from lab.cloud.errors import ArmError
from lab.cloud.identity import Identity
from lab.cloud.times import Times
from lab.cloud.traffic_manager import TrafficManager

AUDIENCE = "https://api.loganalytics.io"
SAMPLES = Path(__file__).parents[1] / "samples"
_TYPES = {
    "TIMESTAMP": "datetime",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "BIGINT": "long",
    "HUGEINT": "long",
    "INTEGER": "int",
    "DOUBLE": "real",
    "BOOLEAN": "bool",
    "DECIMAL": "decimal",
}


class LogAnalytics:
    """One workspace. ``report`` says whether the source's agent sends a heartbeat now, ``replicates`` whether the
    replication machine receives from the source.
    """

    def __init__(
        self, clock: Clock, times: Times, identity: Identity, computer: str, report: Callable[[], bool]
    ) -> None:
        self._clock = clock
        self._times = times
        self._identity = identity
        self._computer = computer
        self._report = report
        self.replicates: Callable[[], bool] = lambda: True
        self.workspace = str(uuid.uuid4())
        self._database = duckdb.connect(":memory:")
        self._database.execute("CREATE TABLE Heartbeat (TimeGenerated TIMESTAMP, Computer VARCHAR, OSType VARCHAR)")
        self._database.execute(
            "CREATE TABLE Event (TimeGenerated TIMESTAMP, Computer VARCHAR, Source VARCHAR, EventID INTEGER)"
        )
        for minutes in range(10, 0, -1):
            self._store(datetime.now(UTC) - timedelta(seconds=clock.real(60 * minutes)), beats=True, replicates=True)

    def _store(self, at: datetime, *, beats: bool, replicates: bool) -> None:
        moment = at.replace(tzinfo=None)
        if beats:
            self._database.execute("INSERT INTO Heartbeat VALUES (?, ?, ?)", [moment, self._computer, "Windows"])
        if replicates:
            self._database.execute("INSERT INTO Event VALUES (?, ?, ?, ?)", [moment, "DT-DR", "Coldsite", 1001])

    async def run(self) -> None:
        """A sign of life of each, every minute, which can be queried once it is ingested."""

        async def ingest(at: datetime, *, beats: bool, replicates: bool) -> None:
            await self._clock.sleep(self._times.log_ingestion)
            self._store(at, beats=beats, replicates=replicates)

        pending: set[asyncio.Task[None]] = set()
        while True:
            task = asyncio.create_task(ingest(datetime.now(UTC), beats=self._report(), replicates=self.replicates()))
            pending.add(task)
            task.add_done_callback(pending.discard)
            await self._clock.sleep(60)

    async def query(self, request: web.Request) -> web.Response:
        """POST /v1/workspaces/{id}/query: KQL in, tables out.

        Source: Azure/azure-rest-api-specs, Microsoft.OperationalInsights data plane, oms-post-example.
        """
        try:
            self._identity.caller(request, {AUDIENCE})
        except ArmError as error:
            status = 401 if error.code == "AuthenticationFailed" else 403
            return web.json_response(error.body, status=status)
        if request.match_info["workspace"] != self.workspace:
            body = {"error": {"code": "PathNotFoundError", "message": "The requested path does not exist"}}
            return web.json_response(body, status=404)
        try:
            asked = json.loads(await request.read())
            text = str(asked["query"])
        except (ValueError, KeyError, TypeError):
            body = {"error": {"code": "BadArgumentError", "message": "The request had some invalid properties"}}
            return web.json_response(body, status=400)
        if asked.get("timespan"):
            body = {"error": {"code": "NotSimulated", "message": "NotSimulated: timespan; say it in the query."}}
            return web.json_response(body, status=400)
        try:
            cursor = self._database.execute(self._sql(text))
        except (duckdb_kql.KqlError, duckdb.Error) as error:
            inner: Any = {"code": "SyntaxError", "message": f"The query could not be run: {error}"}
            error_body = {"code": "BadArgumentError", "message": "The request is wrong", "innererror": inner}
            return web.json_response({"error": error_body}, status=400)
        columns = [
            {"name": c[0], "type": _TYPES.get(str(c[1]).split("(")[0], "string")} for c in cursor.description or []
        ]
        rows = [[_plain(value) for value in row] for row in cursor.fetchall()]
        return web.json_response({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}]})

    def _sql(self, query: str) -> str:
        """KQL as the database's own language."""
        return duckdb_kql.to_sql(query)


def _plain(value: Any) -> Any:
    return value.isoformat() + "Z" if isinstance(value, datetime) else value


class AlertRules:
    """The metric alert that infra/ deploys: average endpoint state of the primary below 0.5 over a minute.

    Stateful, as in Azure: one Fired until Resolved, and resolved after three healthy evaluations.
    Source: MicrosoftDocs/azure-monitor-docs:articles/azure-monitor/alerts/alerts-overview.md
    """

    def __init__(
        self,
        clock: Clock,
        times: Times,
        traffic: TrafficManager,
        primary: str,
        profile: str,
        deliver: Callable[[bytes], Awaitable[int]],
    ) -> None:
        self._clock = clock
        self._times = times
        self._traffic = traffic
        self._primary = primary
        self._profile = profile
        self._deliver = deliver
        self._fired: str | None = None
        self._healthy = 0
        self.stopped = False
        self.evaluated = asyncio.Event()
        self.sending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Evaluates once a minute."""
        while True:
            self._evaluate()
            self.evaluated.set()
            await self._clock.sleep(60)

    def _evaluate(self) -> None:
        since = self._clock.now - 60
        values = [v for at, v in self._traffic.endpoints[self._primary.lower()].history if at >= since]
        if self.stopped or not values:
            return
        down = sum(values) / len(values) < 0.5
        self._healthy = 0 if down else self._healthy + 1
        if down and self._fired is None:
            self._fired = str(uuid.uuid4())
            self._send("traffic-manager-fired", self._fired)
        elif self._fired and self._healthy >= 3:
            self._send("traffic-manager-resolved", self._fired)
            self._fired = None

    def _send(self, sample_name: str, alert: str) -> None:
        async def later() -> None:
            await self._clock.sleep(self._times.metric_alert)
            if not self.stopped:
                await send_with_retries(
                    self._clock, self._deliver, sample(sample_name, self._profile, self._primary, alert)
                )

        task = asyncio.create_task(later())
        self.sending.add(task)
        task.add_done_callback(self.sending.discard)


async def send_with_retries(clock: Clock, deliver: Callable[[bytes], Awaitable[int]], body: bytes) -> int:
    """Delivers as an action group does: 408, 429, 503, 504 and broken connections are tried again.

    Source: MicrosoftDocs/azure-monitor-docs:articles/azure-monitor/alerts/action-groups.md (webhook retry logic).
    """
    status = 0
    for pause in (0.0, 5.0, 20.0, 5.0, 40.0, 5.0):
        await clock.sleep(pause)
        try:
            status = await deliver(body)
        except (aiohttp.ClientError, TimeoutError, OSError):
            status = 0
        if status not in (0, 408, 429, 502, 503, 504):
            break
    return status


def sample(name: str, profile: str, endpoint: str, alert: str) -> bytes:
    """A sample alert with this lab's names and times filled in. Raises ``FileNotFoundError`` for an unknown name."""
    text = (SAMPLES / f"{name}.json").read_text(encoding="utf-8")
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    subscription = profile.split("/")[2]
    for mark, value in (
        ("@PROFILE@", profile.lower()),
        ("@ENDPOINT@", endpoint),
        ("@ALERT@", alert),
        ("@NOW@", now),
        ("@SUBSCRIPTION@", subscription),
    ):
        text = text.replace(mark, value)
    return json.dumps(json.loads(text)).encode()
