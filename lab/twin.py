"""The lab itself: every part of the architecture, started and stopped as one."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import aiohttp
import dns.asyncresolver
import dns.exception
import trustme
from azure.data.tables.aio import TableServiceClient

from lab.app_settings import app_settings
from lab.clock import Clock
from lab.cloud import traffic_manager as tm
from lab.cloud.arm import ResourceManager
from lab.cloud.catalog import Catalog
from lab.cloud.compute import Compute
from lab.cloud.dns_server import DnsServer
from lab.cloud.front import Front
from lab.cloud.health import ServiceHealth
from lab.cloud.identity import API, APP, Identity
from lab.cloud.monitor import AlertRules, LogAnalytics
from lab.cloud.network import Network
from lab.cloud.permissions import Permissions
from lab.cloud.resolvers import Resolvers
from lab.cloud.run_command import RunCommand
from lab.cloud.screens import Screens
from lab.host.easy_auth import EasyAuth
from lab.host.server import FunctionsHost
from lab.options import LabOptions
from lab.plan_copy import Ports, loopback, write_copy
from lab.processes import reserve_ports
from lab.processor_wait import ProcessorWait
from lab.site import world
from lab.site.customers import Customers
from lab.site.home_copy import HomeCopy
from lab.site.hooks import HookServers
from lab.site.replication import Content, ReplicationMachine, snapshot_of
from lab.site.world import Sites, is_sql
from lab.storage import ACCOUNT, Azurite
from lab.storage_front import StorageFront
from lab.templates.standing import grants_of, standing
from shared.models.plan import RecoveryPlan
from shared.models.resource_ids import take_apart

AUDIENCE = "https://management.azure.com"
ALERTS = frozenset({"/api/alerts"})
"""Excluded from sign-in: Azure Monitor presents its token to the app itself."""


class Lab:
    """One plan's world. Use ``async with``; everything listens on loopback addresses only."""

    def __init__(self, plan: RecoveryPlan, plan_file: Path, options: LabOptions) -> None:
        self.plan = plan
        self.options = options
        self._plan_file = plan_file
        self._folder = tempfile.TemporaryDirectory(prefix="coldsite-lab-", delete=not options.keeps_folder)
        self.folder = Path(self._folder.name)
        self._tasks: list[asyncio.Task[Any]] = []
        self._stops: list[Any] = []
        self.clock = Clock(options.speed)
        self.processor_wait = ProcessorWait(self._process_ids)

    async def __aenter__(self) -> Lab:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stop in reversed(self._stops):
            await stop()
        # Closing TLS connections takes a few turns of the loop; ending it at once would leave their sockets open.
        await asyncio.sleep(0.1)
        if not self.options.keeps_folder:
            self._folder.cleanup()

    def _process_ids(self) -> list[int]:
        return [os.getpid(), *self.functions.process_ids, *self.storage.process_ids]

    def _run(self, work: Awaitable[Any]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    # Starting

    async def _start(self) -> None:
        self._make_certificates()
        self._reserve_ports()
        plan = self.plan
        subscription = take_apart(plan.recovery.resource_group).subscription
        self.standing = standing(plan)
        self.identity = self._make_identity(subscription)
        self.arm = ResourceManager(
            self.clock, self.options.times, self.identity, {AUDIENCE, "https://management.core.windows.net"}
        )
        self.network = Network(self.arm)
        self.compute = Compute(self.arm, self.network)
        recovery = self.plan.recovery
        sizes = {size for workload in recovery.workloads.values() for size in workload.sizes}
        Permissions(self.arm, self.identity)
        self.catalog = Catalog(self.arm, self.compute, recovery.location, sizes)
        self.screens = Screens(self.arm, self.compute)
        self.scripts = RunCommand(self.arm, self.compute)
        self.health = ServiceHealth(self.arm, self.plan.recovery.location)
        await self._start_sites()
        self.logs = self._make_logs()
        self.logs.replicates = lambda: self.replication.connected
        self.home_copy = HomeCopy(self.clock, self.sites)
        self.hooks = HookServers(self.plan, self.sites, self.home_copy, self.clock)
        await self._start_front(subscription)
        self.arm.base = self.front.url
        await self._start_storage()
        await self._start_app()
        self._start_monitor()
        for part in (
            self.replication.run(),
            self.home_copy.run(),
            self.logs.run(),
            self.customers.run(),
            self.processor_wait.watch(),
        ):
            self._run(part)
        await self._settle()

    def _reserve_ports(self) -> None:
        self._reserved = reserve_ports(4)
        self._stops.append(self._give_ports_back)
        *shared_ports, self._table_port = (port for port, _ in self._reserved)
        self.ports = Ports(*shared_ports)

    def _make_identity(self, subscription: str) -> Identity:
        return Identity(subscription, grants_of(self.plan))

    def _make_logs(self) -> LogAnalytics:
        return LogAnalytics(self.clock, self.options.times, self.identity, "SQL01", lambda: self.sites.agents_report)

    async def _start_front(self, subscription: str) -> None:
        self.front = Front(self.arm, self.identity, self.logs, self._server_tls, subscription)
        self.front.routes += [self.hooks.route, self.screens.route]
        await self.front.start()
        self.screens.base = self.front.plain_url
        self._stops.append(self.front.stop)

    def _make_certificates(self) -> None:
        authority = trustme.CA(organization_name="Coldsite lab")
        self.hosts = sorted({p.http.host for p in self.plan.traffic.verify if p.http and p.http.host})
        certificate = authority.issue_cert("127.0.0.1", "localhost", *self.hosts)
        self.ca_bundle = self.folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_bundle))
        self._certificate, self._key = self.folder / "lab.pem", self.folder / "lab.key"
        for number, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(str(self._certificate), append=number > 0)
        certificate.private_key_pem.write_to_path(str(self._key))
        self._server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._server_tls)
        self._client_tls = ssl.create_default_context(cafile=str(self.ca_bundle))

    async def _start_sites(self) -> None:
        plan, clock = self.plan, self.clock
        self.sites = self._make_sites()
        self._stops.append(self.sites.stop)
        await self.sites.start()
        source = self.sites.primary_sql
        self.replication = ReplicationMachine(
            clock,
            lambda after: source.orders(after) if source else [],
            self.sites.connected,
            self.options.replication_lag,
        )
        self.replication.learn_scripts(plan.replication.script_texts)
        stands = self.standing
        for disk, (name, label) in stands.disks.items():
            kind = "Windows" if label == "os" else None
            self.compute.place(
                disk, stands.location, Content(name, label, replicates=True), osType=kind, hyperVGeneration="V2"
            )
        for nic, (address, subnet) in stands.interfaces.items():
            self.network.place(nic, stands.location, address, subnet)
        self.compute.place_machine(stands.machine, stands.location, stands.disks)
        self.compute.on_snapshot = lambda disk: snapshot_of(self.compute.contents[disk], self.replication, self.sites)
        self.compute.on_created = self.sites.created
        self.compute.on_deleted = self.sites.deleted
        self.scripts.on_script = lambda machine, text, given: (
            self.replication.run_script(text)
            if machine.lower() == plan.replication.machine.lower()
            else self.hooks.run_script(text, given)
        )
        config = stands.monitor
        config.host = config.host or (self.hosts[0] if self.hosts else "")
        self.traffic = self._make_traffic_manager(config)
        for endpoint in stands.endpoints:
            endpoint.target = world.PRIMARY_PUBLIC if endpoint.priority == 1 else world.RECOVERY_PUBLIC
            self.traffic.add(endpoint)
        self.traffic.start()
        self._stops.append(self.traffic.stop)
        await self._start_dns({host.lower(): plan.traffic.hostname.lower() for host in self.hosts})
        self.customers = self._make_customers()

    def _make_sites(self) -> Sites:
        return Sites(self.plan, self.clock, self.options.times, self.ports, self._server_tls)

    def _make_traffic_manager(self, config: tm.MonitorConfig) -> tm.TrafficManager:
        stands = self.standing
        return tm.TrafficManager(self.arm, stands.profile, stands.hostname, stands.ttl, config, self.ports.https)

    def _make_customers(self) -> Customers:
        return Customers(
            self.clock, self.hosts[0], self.ports.https, self.resolve, self._client_tls, self.options.customers_every
        )

    async def _start_dns(self, aliases: dict[str, str]) -> None:
        self.dns = DnsServer(self.traffic.resolve, lambda: max(1, round(self.clock.real(self.standing.ttl))), aliases)
        await self.dns.start()
        self._stops.append(self._stop_dns)
        self.resolvers = Resolvers(self.clock)
        await self.resolvers.start(self.traffic, aliases)
        self._stops.append(self.resolvers.stop)

    def tables(self) -> TableServiceClient:
        """The history as stored, bypassing the app and the watching proxy. Use ``async with``."""
        return TableServiceClient.from_connection_string(
            self.storage.connection_string, connection_verify=str(self.ca_bundle), retry_total=1
        )

    def recovery_place(self, workload: str) -> str:
        """Where a recovered workload will answer."""
        found = self.plan.recovery.workloads[workload]
        port = self.ports.sql if is_sql(found) else self.ports.http
        return f"{loopback(found.address.failover)}:{port}"

    async def _give_ports_back(self) -> None:
        for _, reservation in self._reserved:
            reservation.close()

    async def _stop_dns(self) -> None:
        self.dns.stop()

    async def resolve(self, name: str) -> tuple[list[str], float]:
        """Asks the lab's DNS over its socket, as customers do: addresses, and the TTL in simulated seconds."""
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], self.dns.port, 2.0
        try:
            answer = await resolver.resolve(name, "A")
        except (dns.exception.DNSException, OSError):
            return [], 1.0
        return [record.address for record in answer], self.standing.ttl

    async def _start_storage(self) -> None:
        self.storage = Azurite(self.folder, self._table_port, self._certificate, self._key)
        await self.storage.start()
        self._stops.append(self.storage.stop)
        self.tables_endpoint = self.storage.endpoint
        self.documents_endpoint = await self._start_blobs() if self.options.keeps_documents else ""
        if self.options.watch_tables:
            front = StorageFront(
                f"https://127.0.0.1:{self._table_port}", self._server_tls, self._client_tls, self._after_row
            )
            self.tables_endpoint = await front.start(ACCOUNT)
            self._stops.append(front.stop)

    async def _start_app(self) -> None:
        plans = self.folder / "plans"
        write_copy(
            self.plan,
            self._plan_file,
            plans,
            self.options.speed,
            self.ports,
            real_schedules=self.options.real_schedules,
        )
        easy_auth = EasyAuth(lambda token: self.identity.claims(token, API), ALERTS) if self.options.people else None
        self.functions = self._make_host(plans, easy_auth)
        self._stops.append(self.functions.stop)
        self.arm.after_write = self._after_write
        await self.functions.start(self.options.port)

    def _make_host(self, plans: Path, easy_auth: EasyAuth | None) -> FunctionsHost:
        app = self.options.installed
        return FunctionsHost(
            app.folder,
            self.settings(plans),
            self.folder,
            self.options.workers,
            easy_auth,
            app.python,
            self.options.engine,
            self.options.speed,
        )

    def settings(self, plans: Path) -> dict[str, str]:
        return app_settings(self, plans)

    async def _start_blobs(self) -> str:
        ((port, reservation),) = reserve_ports(1)
        self._reserved.append((port, reservation))
        self.blobs = Azurite(self.folder, port, self._certificate, self._key, "blob")
        await self.blobs.start()
        self._stops.append(self.blobs.stop)
        container = f"{self.blobs.endpoint}/documents"
        async with (
            aiohttp.ClientSession(headers=self.blob_headers()) as session,
            session.put(f"{container}?restype=container", ssl=self._client_tls) as response,
        ):
            response.raise_for_status()
        return container

    def blob_headers(self) -> dict[str, str]:
        """The headers of a call to the blob service, as the app's identity."""
        token = self.identity.issue("https://storage.azure.com", {"oid": APP})
        return {"Authorization": f"Bearer {token}", "x-ms-version": "2023-11-03"}

    def _start_monitor(self) -> None:
        self.alert_rules = AlertRules(
            self.clock,
            self.options.times,
            self.traffic,
            self.plan.traffic.primary.endpoint,
            self.plan.traffic.profile,
            self.deliver_alert,
        )
        self._run(self.alert_rules.run())

    async def deliver_alert(self, body: bytes) -> int:
        """Posts an alert as an action group does: with the function's key in the address, or with a token."""
        functions = self.functions
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if self.options.people:
            url = f"{functions.url}/api/alerts"
            headers["Authorization"] = f"Bearer {self.identity.webhook_token()}"
        else:
            url = f"{functions.url}/api/alerts?code={functions.keys['alerts']}"
        timeout = aiohttp.ClientTimeout(total=30)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=body, headers=headers) as response,
        ):
            return response.status

    def credentials(self, person: str = "") -> dict[str, str]:
        """The headers that identify a caller to the HTTP API: one of the people, else the holder of the host's key."""
        if self.options.people:
            name = person or next(iter(self.options.people))
            token = self.identity.person_token(name, self.options.people.get(name, []))
            return {"Authorization": f"Bearer {token}"}
        return {"x-functions-key": self.functions.function_key}

    async def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, person: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """Calls the app's HTTP API; a connection that breaks answers as status 0."""
        try:
            async with (
                aiohttp.ClientSession(
                    headers=self.credentials(person), timeout=aiohttp.ClientTimeout(total=30)
                ) as session,
                session.request(method, f"{self.functions.url}/api/{path}", json=body) as response,
            ):
                text = await response.text()
                return response.status, json.loads(text) if text.startswith("{") else {}
        except (aiohttp.ClientError, TimeoutError):
            return 0, {}

    async def _after_write(self, label: str) -> bool:
        """``worker.kill during``: the write is applied, the worker dies, and no answer is sent."""
        return self.functions.dispatcher.strike("azure")

    async def _after_row(self, table: str) -> bool:
        """The same for the history. A step's own row describes the activity, and is not its effect."""
        return table != "ColdsiteSteps" and self.functions.dispatcher.strike("history")

    async def _settle(self) -> None:
        """The timeline begins when the primary is online, a customer was served and the alert rules have run."""
        primary = self.traffic.endpoints[self.plan.traffic.primary.endpoint.lower()]
        for _ in range(600):
            ready = primary.monitor == "Online" and self.customers.tally.served_by["primary"] > 0
            if ready and self.alert_rules.evaluated.is_set():
                break
            await asyncio.sleep(0.05)
        else:
            raise RuntimeError("The lab's primary site did not come up within 30 seconds.")
        await self.functions.fire("watch")
        self.customers.restart()
        self.clock.start()
