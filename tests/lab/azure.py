"""The lab's Azure alone: the front door and its services, without the app, its host and the sites."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import trustme
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.trafficmanager import TrafficManagerManagementClient
from azure.monitor.query import LogsQueryClient

from lab.clock import Clock
from lab.cloud import traffic_manager as tm
from lab.cloud.arm import ResourceManager
from lab.cloud.compute import Compute
from lab.cloud.front import Front
from lab.cloud.health import ServiceHealth
from lab.cloud.identity import Identity
from lab.cloud.monitor import LogAnalytics
from lab.cloud.network import Network
from lab.cloud.run_command import RunCommand
from lab.cloud.times import Times
from lab.templates.standing import grants
from tests.waiting import LIMIT, until, wait_until

SUBSCRIPTION = "00000000-0000-0000-0000-0000000000f1"
ROOT = f"/subscriptions/{SUBSCRIPTION}"
REPLICA, RECOVERY, TRAFFIC = (f"{ROOT}/resourceGroups/rg-{name}" for name in ("replica", "recovery", "traffic"))
SOURCE = f"{REPLICA}/providers/Microsoft.Compute/disks/sql-os"
HELPER = f"{REPLICA}/providers/Microsoft.Compute/virtualMachines/replication"
NIC = f"{RECOVERY}/providers/Microsoft.Network/networkInterfaces/sql-failover"
OTHER_NIC = f"{RECOVERY}/providers/Microsoft.Network/networkInterfaces/sql-drill"
PROFILE = f"{TRAFFIC}/providers/Microsoft.Network/trafficManagerProfiles/shop"
ARM, LOGS = "https://management.azure.com", "https://api.loganalytics.io"
DISKS, MACHINES, NETWORK, ENDPOINTS, SUBSCRIPTIONS, HEALTH = (
    "2026-03-02",
    "2026-04-01",
    "2025-05-01",
    "2026-09-01",
    "2022-12-01",
    "2025-05-01",
)
"""The api-versions of the published examples, which are also those that the SDK sends."""
NIC_RESERVED_LONG = Times(nic_reserved=1e9)


def compute(kind: str, name: str, group: str = RECOVERY) -> str:
    return f"{group}/providers/Microsoft.Compute/{kind}/{name}"


class Reply(NamedTuple):
    status: int
    headers: Any
    body: Any

    @property
    def code(self) -> str:
        return str(self.body["error"]["code"])


class Exchange(NamedTuple):
    """The requests of an SDK client, and their answers."""

    method: str
    path: str
    query: str
    sent: Any
    reply: Reply


class Recorder(list[Exchange]):
    """A ``raw_response_hook``; azure-core would not call one that is false."""

    def __bool__(self) -> bool:
        return True

    def __call__(self, response: Any) -> None:
        request, answer = response.http_request, response.http_response
        path, _, query = request.url.split("/", 3)[3].partition("?")
        answer.read()
        text = answer.text()
        reply = Reply(answer.status_code, answer.headers, json.loads(text) if text else None)
        body = request.content if hasattr(request, "content") else request.body
        self.append(Exchange(request.method, "/" + path, query, json.loads(body) if body else None, reply))


class LabCredential:
    """A token of the lab's identity endpoint, for the SDK's clients."""

    def __init__(self, fetch: Callable[[str], str]) -> None:
        self._fetch = fetch

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(self._fetch(scopes[0].removesuffix("/.default")), 2**33)


class Azure:
    """The simulated cloud, on a loop of its own, so that blocking clients can call it. Use ``simulated()``."""

    def __init__(self, speed: float, times: Times, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._speed, self._times = speed, times
        self._kept = contextlib.ExitStack()
        self.ca = folder / "ca.pem"

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(LIMIT)

    def start(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca))
        self._server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self._server_tls)
        self._thread.start()
        self.run(self._start())

    async def _start(self) -> None:
        self.clock = Clock(self._speed)
        self.identity = Identity(SUBSCRIPTION, grants(RECOVERY, REPLICA, PROFILE))
        self.arm = ResourceManager(self.clock, self._times, self.identity, {ARM, "https://management.core.windows.net"})
        self.network = Network(self.arm)
        self.compute = Compute(self.arm, self.network)
        self.scripts = RunCommand(self.arm, self.compute)
        self.traffic = tm.TrafficManager(
            self.arm, PROFILE, "shop.trafficmanager.net", 60.0, tm.MonitorConfig(host="shop.example"), 9
        )
        self.traffic.add(tm.EndpointState("primary", "externalEndpoints", "127.1.0.10", 1, enabled=True))
        self.traffic.add(tm.EndpointState("recovery", "azureEndpoints", "127.20.0.10", 2, enabled=False))
        self.logs = LogAnalytics(self.clock, self._times, self.identity, "SQL01", lambda: True)
        self.health = ServiceHealth(self.arm, "westeurope")
        self.front = Front(self.arm, self.identity, self.logs, self._server_tls, SUBSCRIPTION)
        await self.front.start()
        self.arm.base = self.front.url
        self.compute.place(SOURCE, "westeurope", "the replica", osType="Windows")
        self.compute.place_machine(HELPER, "westeurope")
        for nic, address in ((NIC, "10.0.0.4"), (OTHER_NIC, "10.0.0.5")):
            self.network.place(nic, "westeurope", address, f"{nic}-subnet")
        self._session = aiohttp.ClientSession()

    def stop(self) -> None:
        self._kept.close()
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT)
        self._loop.close()

    async def _stop(self) -> None:
        await self._session.close()
        await self.traffic.stop()
        for runner in self.front._runners:
            for connection in runner.server.connections if runner.server else []:
                if connection.transport:
                    connection.transport.abort()  # an SDK's error holds its connection open
        await self.front.stop()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        selector = self._loop._selector  # type: ignore[attr-defined]
        # TLS connections close a little later; the loop's own pipe stays.
        await until(lambda: len(selector.get_map()) == 1, LIMIT / 2, "every connection to close")

    # Calling

    def token(self, resource: str = ARM, *, person: bool = False) -> str:
        header = self.identity.person_header if person else self.identity.header
        params = {"api-version": "2019-08-01", "resource": resource}
        reply = self.call("GET", self.front.identity_url, {"X-IDENTITY-HEADER": header}, params=params)
        return str(reply.body["access_token"])

    def call(self, method: str, url: str, headers: dict[str, str], **how: Any) -> Reply:
        async def exchange() -> Reply:
            tls: Any = ssl.create_default_context(cafile=str(self.ca)) if url.startswith("https") else True
            async with self._session.request(method, url, headers=headers, ssl=tls, **how) as response:
                text = await response.text()
                is_json = response.content_type == "application/json"
                return Reply(response.status, response.headers, json.loads(text) if is_json else text or None)

        return self.run(exchange())

    def ask(
        self,
        method: str,
        path: str,
        version: str = "",
        body: Any = None,
        *,
        person: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request to Resource Manager; ``path`` may be a full URL from an answer."""
        url = path if path.startswith("https") else self.front.url + path
        sent = {"Authorization": f"Bearer {self.token(person=person)}"} | (headers or {})
        return self.call(method, url, sent, params={"api-version": version} if version else None, json=body)

    def finished(self, accepted: Reply) -> Reply:
        """The final poll of an accepted operation."""
        assert accepted.status in (200, 201, 202), accepted
        address = accepted.headers["Azure-AsyncOperation"]

        def look() -> Reply | None:
            reply = self.ask("GET", address)
            return reply if reply.body["status"] != "InProgress" else None

        found = wait_until(look, LIMIT, f"the end of {address}")
        assert found is not None
        return found

    # The SDK's clients

    def compute_client(self, *, person: bool = False) -> ComputeManagementClient:
        client = ComputeManagementClient(
            self._credential(person), SUBSCRIPTION, credential_scopes=[f"{ARM}/.default"], **self._options()
        )
        return self._kept.enter_context(client)

    def traffic_client(self, *, person: bool = False) -> TrafficManagerManagementClient:
        client = TrafficManagerManagementClient(
            self._credential(person), SUBSCRIPTION, credential_scopes=[f"{ARM}/.default"], **self._options()
        )
        return self._kept.enter_context(client)

    def logs_client(self) -> LogsQueryClient:
        client = LogsQueryClient(
            self._credential(False), endpoint=f"{self.front.url}/v1", audience=LOGS, connection_verify=str(self.ca)
        )
        return self._kept.enter_context(client)

    def _options(self) -> dict[str, Any]:
        return {
            "base_url": self.front.url,
            "connection_verify": str(self.ca),
            "polling_interval": 0.02,
            "retry_total": 0,
        }

    def _credential(self, person: bool) -> Any:
        return LabCredential(lambda resource: self.token(resource, person=person))

    # Creating resources

    def put_snapshot(self, name: str = "point", source: str = SOURCE) -> Reply:
        return self.ask("PUT", compute("snapshots", name), DISKS, copy_of(source))

    def put_disk(self, name: str, source: str) -> Reply:
        return self.ask("PUT", compute("disks", name), DISKS, copy_of(source))

    def disk(self, name: str) -> str:
        """A finished disk in the recovery group; its id."""
        point = compute("snapshots", "point")
        if point.lower() not in self.compute.resources:
            self.finished(self.put_snapshot())
        self.finished(self.put_disk(name, point))
        return compute("disks", name)

    def put_machine(self, name: str, disk: str, nic: str = NIC, **changes: Any) -> Reply:
        return self.ask("PUT", compute("virtualMachines", name), MACHINES, machine_from(disk, nic, **changes))


def refusal(call: Callable[[], Any]) -> HttpResponseError:
    """The error that an SDK call raises."""
    try:
        call()
    except HttpResponseError as error:
        return error
    raise AssertionError("The call was not refused.")


def copy_of(source: str) -> dict[str, Any]:
    return {
        "location": "westeurope",
        "properties": {"creationData": {"createOption": "Copy", "sourceResourceId": source}},
    }


def machine_from(disk: str, nic: str, size: str = "Standard_D2s_v5", data: tuple[str, ...] = ()) -> dict[str, Any]:
    """A machine from disks that hold an installed system: no imageReference, no osProfile."""
    attached = {"osType": "Windows", "createOption": "Attach", "managedDisk": {"id": disk}}
    more = [{"lun": n, "createOption": "Attach", "managedDisk": {"id": d}} for n, d in enumerate(data)]
    return {
        "location": "westeurope",
        "properties": {
            "hardwareProfile": {"vmSize": size},
            "storageProfile": {"osDisk": attached, "dataDisks": more},
            "networkProfile": {"networkInterfaces": [{"id": nic, "properties": {"primary": True}}]},
        },
    }


@contextlib.contextmanager
def simulated(speed: float = 1000.0, times: Times = NIC_RESERVED_LONG) -> Iterator[Azure]:
    with tempfile.TemporaryDirectory() as folder:
        azure = Azure(speed, times, Path(folder))
        azure.start()
        try:
            yield azure
        finally:
            azure.stop()
