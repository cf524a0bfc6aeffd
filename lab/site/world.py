"""The two sites: which machines stand where, what they serve, and which lines reach them."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from aiohttp import web

from lab.clock import Clock
from lab.cloud.compute import Machine
from lab.cloud.times import Times
from lab.plan_copy import Ports, loopback
from lab.site.iis import Database, IisServer, Override
from lab.site.replication import Content
from lab.site.sql_server import Oddity, SqlServer
from shared.models.plan import Purpose, RecoveryPlan, Workload

PRIMARY_PUBLIC = "127.1.0.10"
RECOVERY_PUBLIC = "127.20.0.10"
OBSERVER = "127.250.0.1"
SQL_USER, SQL_PASSWORD = "coldsite_probe", "lab-only-Pa55"

Line = Literal["public", "private", "observer"]


class UnknownTargetError(Exception):
    """A scenario names a machine or an endpoint that is not part of this plan."""


@dataclass
class Stand:
    """One machine: its server, and the addresses on which it listens, by line. ``internal`` is never cut."""

    workload: str
    server: SqlServer | IisServer
    places: dict[str, tuple[str, int, bool]]
    """By line: address, port, TLS."""
    running: bool = False
    cut: set[str] = field(default_factory=set)

    async def apply(self) -> None:
        """Listens on exactly the right addresses."""
        for line, (address, port, tls) in self.places.items():
            if self.running and line not in self.cut:
                if isinstance(self.server, SqlServer):
                    await self.server.listen(address, port)
                else:
                    await self.server.listen(address, port, tls)
            elif isinstance(self.server, SqlServer):
                await self.server.refuse(address)
            else:
                await self.server.refuse(address, port)


class Observer:
    """The observer's own point of reference: a page that answers while its line is up."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/", self._hello)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await self.listen()

    @staticmethod
    async def _hello(request: web.Request) -> web.Response:
        return web.Response(text="here")

    async def listen(self) -> None:
        """Heals the line."""
        if self._runner and not self._runner.sites:
            await web.TCPSite(self._runner, OBSERVER, self._port).start()

    async def refuse(self) -> None:
        """Cuts the line."""
        for site in list(self._runner.sites) if self._runner else []:
            await site.stop()

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()


def is_sql(workload: Workload) -> bool:
    return any(probe.sql for probe in workload.probes)


class Sites:
    """Both sites of one plan. Machines of the recovery site appear when Azure has made and booted them."""

    def __init__(
        self,
        plan: RecoveryPlan,
        clock: Clock,
        times: Times,
        ports: Ports,
        tls: ssl.SSLContext,
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._times = times
        self._ports = ports
        self._tls = tls
        self._cut: set[str] = set()
        self._observer = self._make_observer()
        self._boots: dict[str, asyncio.Task[None]] = {}
        self._pending_states: dict[str, str] = {}
        self._pending_answers: dict[str, Override] = {}
        self._pending_oddities: dict[str, Oddity] = {}
        self._machines: dict[str, str] = {}
        self.stands: dict[str, Stand] = {}
        """By ``primary/sql``, ``recovery/iis``, ``drill/sql``."""
        self.boot_log: list[tuple[str, float, float]] = []
        """(stand, simulated start, simulated end) of every boot, for the bench."""
        workloads = plan.recovery.workloads
        self._front = next((name for name, w in workloads.items() if not is_sql(w)), next(iter(workloads)))
        self.main_sql = next((name for name, w in workloads.items() if is_sql(w)), None)

    # The primary

    async def start(self) -> None:
        """Starts the primary site and the observer's own point of reference."""
        await self._observer.start()
        for number, (name, workload) in enumerate(self._plan.recovery.workloads.items()):
            stand = self._build("primary", name, workload, f"127.101.{number // 200}.{number % 200 + 2}")
            self.stands[f"primary/{name}"] = stand
            stand.running = True
            await stand.apply()

    def _make_observer(self) -> Observer:
        return Observer(self._ports.http)

    def _make_sql_server(self, name: str, database: str) -> SqlServer:
        return SqlServer(name, database, SQL_USER, SQL_PASSWORD, self._tls)

    def _make_iis_server(self, site: str, database: Database | None) -> IisServer:
        return IisServer(site, database, self._tls)

    async def stop(self) -> None:
        for task in self._boots.values():
            task.cancel()
        for stand in self.stands.values():
            await stand.server.stop()
        await self._observer.stop()

    def _build(self, site: str, name: str, workload: Workload, internal: str) -> Stand:
        port = self._ports.sql if is_sql(workload) else self._ports.http
        places: dict[str, tuple[str, int, bool]] = {"internal": (internal, port, False)}
        if is_sql(workload):
            probe = next(p.sql for p in workload.probes if p.sql)
            server: SqlServer | IisServer = self._make_sql_server(f"{site}-{name}", probe.database)
            if site == "primary" and name == self.main_sql:
                for signal in self._plan.detection.signals.values():
                    if signal.sql and signal.sql.server:
                        places["private"] = (loopback(signal.sql.server), port, False)
        else:
            server = self._make_iis_server(site, self._database(site, workload))
            if name == self._front and site in ("primary", "recovery"):
                public = PRIMARY_PUBLIC if site == "primary" else RECOVERY_PUBLIC
                places["public"] = (public, self._ports.https, True)
        cut = self._cut & set(places) if site == "primary" else set()
        return Stand(name, server, places, cut=set(cut))

    def _database(self, site: str, workload: Workload) -> Database | None:
        """The SQL Server that a web server asks: the one it depends on."""
        needed = next((n for n in workload.depends_on if is_sql(self._plan.recovery.workloads[n])), None)
        if needed is None:
            return None
        sql = self._plan.recovery.workloads[needed]
        probe = next(p.sql for p in sql.probes if p.sql)
        if site == "primary":
            address = self.stands[f"primary/{needed}"].places["internal"][0]
        else:
            address = loopback(sql.address.of("failover" if site == "recovery" else "drill"))
        return Database(address, self._ports.sql, probe.database, SQL_USER, SQL_PASSWORD)

    @property
    def primary_sql(self) -> SqlServer | None:
        return self.sql_of("primary")

    def sql_of(self, site: str) -> SqlServer | None:
        """A site's SQL Server, while it stands."""
        stand = self.stands.get(f"{site}/{self.main_sql}")
        return stand.server if stand and isinstance(stand.server, SqlServer) else None

    @property
    def primary_sql_runs(self) -> bool:
        stand = self.stands.get(f"primary/{self.main_sql}")
        return bool(stand and stand.running)

    def connected(self) -> bool:
        """Whether replication reaches the source: the machine runs and the private line is up."""
        return self.primary_sql_runs and "private" not in self._cut

    @property
    def agents_report(self) -> bool:
        """The source's monitoring agent reports over the public line."""
        return self.primary_sql_runs and "public" not in self._cut

    # Machines of Azure

    def created(self, machine: Machine) -> None:
        """Azure made a machine: it boots, and serves when it has."""
        contents = [d["content"] for d in machine.disks if isinstance(d["content"], Content)]
        name = next(c.workload for c in contents if c.label == "os")
        workload = self._plan.recovery.workloads[name]
        role: Purpose = "drill" if machine.nic.lower() == workload.nic.drill.lower() else "failover"
        site = "recovery" if role == "failover" else "drill"
        key = f"{site}/{name}"
        self._machines[machine.resource["id"].lower()] = key
        self._boots[key] = asyncio.create_task(self._boot(key, site, name, workload, role, contents))

    async def _boot(
        self, key: str, site: str, name: str, workload: Workload, role: Purpose, contents: list[Content]
    ) -> None:
        began = self._clock.now
        await self._clock.sleep(self._times.of("boot_sql" if is_sql(workload) else "boot_iis", key))
        stand = self._build(site, name, workload, loopback(workload.address.of(role)))
        self.stands[key] = stand
        if isinstance(stand.server, SqlServer):
            # Disks of different moments are as bad as torn ones, whatever their tags say.
            damaged = any(c.damage for c in contents) or len({c.orders for c in contents}) > 1
            data = next((c for c in contents if c.label != "os"), contents[0])
            stand.server.load(data.orders)
            stand.server.odd = self._pending_oddities.get(key, stand.server.odd)
            pending = self._pending_states.pop(key, None)
            stand.server.state = pending or ("SUSPECT" if damaged else "RECOVERING")
        elif key in self._pending_answers:
            stand.server.override = self._pending_answers.pop(key)
        stand.running = True
        await stand.apply()
        if isinstance(stand.server, SqlServer) and stand.server.state == "RECOVERING":
            await self._clock.sleep(self._times.sql_recovering)
            if stand.server.state == "RECOVERING":
                stand.server.state = "ONLINE"
        self.boot_log.append((key, began, self._clock.now))

    def deleted(self, machine_id: str) -> None:
        key = self._machines.pop(machine_id.lower(), None)
        if key is None:
            return
        if boot := self._boots.pop(key, None):
            boot.cancel()
        if stand := self.stands.pop(key, None):
            self._boots[key] = asyncio.create_task(stand.server.stop())

    # What happens in scenarios

    def _chosen(self, target: str) -> list[Stand]:
        chosen = [stand for key, stand in self.stands.items() if key == target or key.split("/")[0] == target]
        known = {
            f"{site}/{name}" for site in ("primary", "recovery", "drill") for name in self._plan.recovery.workloads
        }
        if not chosen and target not in known | {"primary", "recovery", "drill"}:
            raise UnknownTargetError(f"target {target!r} is not one of {', '.join(sorted(known))}")
        return chosen

    async def run(self, target: str, running: bool) -> None:
        """Stops or starts a site (``primary``) or one of its machines (``primary/sql``)."""
        for stand in self._chosen(target):
            stand.running = running
            await stand.apply()

    def respond(self, target: str, status: int, body: str) -> None:
        """Makes a web server answer this instead; on an unborn machine it applies at boot. Status 0 ends it."""
        override = Override(status, body) if status else None
        chosen = [s for s in self._chosen(target) if isinstance(s.server, IisServer)]
        for stand in chosen:
            if isinstance(stand.server, IisServer):
                stand.server.override = override
        if not chosen and "/" in target:
            self._pending_answers.pop(target, None)
            if override:
                self._pending_answers[target] = override

    def set_state(self, target: str, state: str) -> None:
        """Sets a database's state; on an unborn machine it applies at boot."""
        chosen = [s for s in self._chosen(target) if isinstance(s.server, SqlServer)]
        for stand in chosen:
            if isinstance(stand.server, SqlServer):
                stand.server.state = state
        if not chosen:
            self._pending_states[target] = state

    def be_odd(self, target: str, changes: dict[str, Any]) -> None:
        """Makes SQL Server misbehave for the probe; on an unborn machine it applies at boot."""
        sites = {target} if "/" in target else {f"{target}/{name}" for name in self._plan.recovery.workloads}
        self._chosen(target)
        for key in sites:
            stand = self.stands.get(key)
            if stand is None:
                before = self._pending_oddities.get(key, Oddity())
                self._pending_oddities[key] = replace(before, **changes)
            elif isinstance(stand.server, SqlServer):
                stand.server.odd = replace(stand.server.odd, **changes)

    def stop_writes(self, stopped: bool) -> None:
        """Stops the primary's writes, or resumes them."""
        if self.primary_sql:
            self.primary_sql.read_only = stopped

    async def cut(self, line: Line, cut: bool) -> None:
        """Cuts or heals one line to the primary, or the observer's own."""
        (self._cut.add if cut else self._cut.discard)(line)
        if line == "observer":
            await (self._observer.refuse() if cut else self._observer.listen())
        for key, stand in self.stands.items():
            if key.startswith("primary/") and line in stand.places:
                (stand.cut.add if cut else stand.cut.discard)(line)
                await stand.apply()
