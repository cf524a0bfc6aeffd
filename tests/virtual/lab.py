"""The lab in one process and in virtual time, without a socket: what a scenario does there, it does to the same world.

Simulated are the same Azure, the same sites and the same customers by the lab's own code; the orchestrators, activities,
services and triggers are the app's own, and the app's Azure clients are Microsoft's. Left out are what carries them:
connections, processes, Azurite, the threads of database drivers.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import ssl
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import duckdb_kql
import jwt
import pytest
from azure.monitor.query.aio import LogsQueryClient
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.clock import Clock
from lab.cloud import traffic_manager as tm
from lab.cloud.identity import Identity
from lab.cloud.monitor import LogAnalytics
from lab.cloud.resolvers import Resolvers
from lab.host.easy_auth import EasyAuth
from lab.host.server import FunctionsHost
from lab.options import LabOptions
from lab.plan_copy import Ports
from lab.processor_wait import ProcessorWait
from lab.site.customers import Customers
from lab.site.world import Sites
from lab.templates.standing import grants_of
from lab.twin import Lab
from shared.models.plan import RecoveryPlan
from shared.plans.loader import load_plans
from tests.virtual.host import VirtualHost, VirtualHub
from tests.virtual.loop import VirtualLoop
from tests.virtual.servers import (
    AddressBook,
    QuietCustomers,
    QuietSites,
    QuietTrafficManager,
    asks_databases,
    asks_pages,
)
from tests.virtual.tables import Tables
from tests.virtual.transport import LabCredential, LabTransport, request_of


class NeverWaits(ProcessorWait):
    """No processor is waited for where no time passes."""

    def __init__(self) -> None:
        super().__init__(lambda: ())

    async def watch(self) -> None:
        return None


class VirtualLogs(LogAnalytics):
    """Log Analytics whose KQL knows the virtual time."""

    def __init__(self, *arguments: Any) -> None:
        self._waiting: list[tuple[datetime, bool, bool]] = []
        super().__init__(*arguments)

    def _store(self, at: datetime, *, beats: bool, replicates: bool) -> None:
        """Kept until a query comes, since each statement takes milliseconds."""
        self._waiting.append((at, beats, replicates))

    def _sql(self, query: str) -> str:
        waiting, self._waiting = self._waiting, []
        for at, beats, replicates in waiting:
            super()._store(at, beats=beats, replicates=replicates)
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()
        return _translated(query).replace("(now() AT TIME ZONE 'UTC')", f"TIMESTAMP '{now}'")


@functools.cache
def _translated(query: str) -> str:
    return duckdb_kql.to_sql(query)


class VirtualLab(Lab):
    """Use ``async with`` on a ``VirtualLoop``. The app's adapters are led here by ``patch``, and back at the end."""

    def __init__(self, plan: RecoveryPlan, plan_file: Path, options: LabOptions, loop: VirtualLoop) -> None:
        super().__init__(plan, plan_file, options)
        self.clock = Clock(options.speed, loop.time)
        self.processor_wait = NeverWaits()
        self.book = AddressBook()
        self._credentials = functools.cache(super().credentials)
        self._patch = pytest.MonkeyPatch()
        loop.listening = self.book.listens

    async def _stop(self) -> None:
        await super()._stop()
        self._patch.undo()

    def _make_certificates(self) -> None:
        self.hosts = sorted({p.http.host for p in self.plan.traffic.verify if p.http and p.http.host})
        self.ca_bundle = self.folder / "none.pem"
        self._server_tls = self._client_tls = _no_tls()

    def _reserve_ports(self) -> None:
        self.ports = Ports(443, 80, 1433)
        self._table_port = 0

    def _make_sites(self) -> Sites:
        return QuietSites(self.book, self.plan, self.clock, self.options.times, self.ports, self._server_tls)

    def _make_traffic_manager(self, config: tm.MonitorConfig) -> tm.TrafficManager:
        stands = self.standing
        return QuietTrafficManager(
            self.book, self.arm, stands.profile, stands.hostname, stands.ttl, config, self.ports.https
        )

    def _make_customers(self) -> Customers:
        every = self.options.customers_every
        return QuietCustomers(
            self.book, self.clock, self.hosts[0], self.ports.https, self.resolve, self._client_tls, every
        )

    def _make_identity(self, subscription: str) -> Identity:
        return Identity(subscription, grants_of(self.plan), _one_key())

    def _make_logs(self) -> LogAnalytics:
        return VirtualLogs(self.clock, self.options.times, self.identity, "SQL01", lambda: self.sites.agents_report)

    async def _settle(self) -> None:
        """A few minutes of an ordinary day first, so that there are orders to lose."""
        await self.clock.sleep(180)
        await super()._settle()

    async def _start_dns(self, aliases: dict[str, str]) -> None:
        self.dns = SimpleNamespace(port=53)  # type: ignore[assignment]
        self.resolvers = Resolvers(self.clock)
        await self.resolvers.start(self.traffic, aliases, listens=False)
        self._stops.append(self.resolvers.stop)
        for number, resolver in enumerate(self.resolvers.all):
            resolver.server.port = 5301 + number
        self._aliases = aliases

    async def resolve(self, name: str) -> tuple[list[str], float]:
        asked = self._aliases.get(name.lower(), name)
        return list(self.traffic.resolve(asked) or []), self.standing.ttl

    async def _start_front(self, subscription: str) -> None:
        address = "https://azure.lab"
        self.front = SimpleNamespace(  # type: ignore[assignment]
            url=address,
            plain_url=address,
            identity_url=f"{address}/identity/token",
            notify_url="json://azure.lab/notify/secret-of-notify",
            notify_secret="secret-of-notify",
            notifications=[],
        )

    async def _start_storage(self) -> None:
        self.storage = Tables(self._after_row)  # type: ignore[assignment]
        self.tables_endpoint = "https://tables.lab/lab"
        self.documents_endpoint = ""

    @property
    def hub(self) -> VirtualHub:
        """Where the app's orchestrations live."""
        assert isinstance(self.functions, VirtualHost)
        return self.functions.virtual.hub

    def tables(self) -> Any:
        return self.storage

    def _make_host(self, plans: Path, easy_auth: EasyAuth | None) -> FunctionsHost:
        settings = self.settings(plans)
        self._connect(settings, plans)
        return VirtualHost(
            self.options.installed.folder, settings, self.folder, self.options.workers, easy_auth, speed=1.0
        )

    def _connect(self, settings: dict[str, str], plans: Path) -> None:
        """Leads the app's adapters to this lab."""
        for name in [name for name in os.environ if name.startswith(("COLDSITE_", "WEBSITE_"))]:
            self._patch.delenv(name)
        for name, value in settings.items():
            if name not in ("PATH", "PYTHONPATH"):
                self._patch.setenv(name, value)
        _learn_plans(self._patch, plans)
        from shared.azure import clients, entra_tokens
        from shared.probes import dns, http, sql
        from shared.services import hooks, notify
        from shared.store import tables

        _remember_tokens(self.identity)
        credential, transport = LabCredential(self.identity), LabTransport(self.arm, self.logs)
        arm_options = clients._arm_options
        put = self._patch.setattr
        put(clients, "credential", lambda: credential)
        put(clients, "_arm_options", lambda: arm_options() | {"transport": transport})
        put(clients, "LogsQueryClient", functools.partial(LogsQueryClient, transport=transport))
        put(tables, "TableServiceClient", lambda *_, **__: self.storage)
        # What is kept for this world's loop leads back to the loop, so that the world would never be collected.
        for module, kept in ((clients, "_clients"), (tables, "_tables"), (entra_tokens, "_known")):
            put(module, kept, WeakKeyDictionary())
        put(http, "_ask", asks_pages(self.book))
        put(sql, "_ask", asks_databases(self.book))
        put(dns, "resolve", self._answers_dns)
        put(dns, "ask", self._answers_as_resolver)
        put(notify.apprise, "Apprise", lambda: _Sender(self.front.notifications))
        put(hooks, "_post", self._calls_hook)
        put(entra_tokens, "_fetch", self._public_keys)

    async def _calls_hook(self, url: str, body: bytes, headers: dict[str, str], seconds: float) -> tuple[int, str]:
        asked = request_of("POST", url, headers, body, name=url.rsplit("/", 1)[-1])
        async with asyncio.timeout(seconds):
            answer: Any = await self.hooks._answer(asked)
        return answer.status, bytes(answer.body or b"").decode()

    async def _answers_dns(self, name: str, timeout: float = 3.0) -> list[str]:
        addresses, _ = await self.resolve(name)
        return sorted(addresses)

    async def _answers_as_resolver(self, name: str, resolver: str, timeout: float = 3.0) -> list[str]:
        (asked,) = [known for known in self.resolvers.all if resolver == f"127.0.0.1:{known.server.port}"]
        return sorted(asked.resolve(name) or [])

    async def _public_keys(self, wanted: Any) -> Any:
        answer = await self.identity.keys(request_of("GET", "https://azure.lab/", tenant=wanted.tenant))
        keys = json.loads(bytes(answer.body))["keys"]  # type: ignore[arg-type]
        return {key["kid"]: jwt.PyJWK(key) for key in keys}

    async def deliver_alert(self, body: bytes) -> int:
        functions, headers = self.functions, {"Content-Type": "application/json; charset=utf-8"}
        if self.options.people:
            headers["Authorization"] = f"Bearer {self.identity.webhook_token()}"
            url = "http://app.lab/api/alerts"
        else:
            url = f"http://app.lab/api/alerts?code={functions.keys['alerts']}"
        return (await functions._serve(request_of("POST", url, headers, body))).status

    def credentials(self, person: str = "") -> dict[str, str]:
        """A token is issued once and lasts a day."""
        return self._credentials(person)

    async def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, person: str = ""
    ) -> tuple[int, dict[str, Any]]:
        headers = self.credentials(person) | ({"Content-Type": "application/json"} if body is not None else {})
        raw = b"" if body is None else json.dumps(body).encode()
        answer: Any = await self.functions._serve(request_of(method, f"http://app.lab/api/{path}", headers, raw))
        text = bytes(answer.body or b"").decode()
        return answer.status, json.loads(text) if text.startswith("{") else {}


@functools.cache
def _one_key() -> rsa.RSAPrivateKey:
    """Making a key takes as long as a minute of a scenario."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _remember_tokens(identity: Identity) -> None:
    """Signing and checking cost more than all else here, and a token is what it was a moment ago."""
    checked: dict[tuple[str, frozenset[str]], str] = {}
    check = identity.caller

    def caller(request: Any, audiences: set[str]) -> str:
        key = (request.headers.get("Authorization", ""), frozenset(audiences))
        if key not in checked:
            checked[key] = check(request, audiences)
        return checked[key]

    identity.caller = caller  # type: ignore[method-assign]


def _no_tls() -> ssl.SSLContext:
    """A context that is handed on and never used."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def _learn_plans(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """What is deployed: the dictionary that every trigger has imported."""
    from functions.deployed_plans import PLANS

    wanted = load_plans(folder)
    for name in list(PLANS):
        patch.delitem(PLANS, name)
    for name, plan in wanted.items():
        patch.setitem(PLANS, name, plan)


class _Sender:
    """Apprise, whose messages come to the lab."""

    def __init__(self, notifications: list[dict[str, Any]]) -> None:
        self._notifications = notifications

    def add(self, url: str) -> bool:
        return url.startswith("json://")

    async def async_notify(self, *, body: str, title: str) -> bool:
        self._notifications.append({"title": title, "message": body})
        return True
