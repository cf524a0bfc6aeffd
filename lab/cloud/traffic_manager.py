"""Traffic Manager: endpoints, their probes, and the DNS answers that follow, with the documented quirks.

Source: MicrosoftDocs/azure-docs:articles/traffic-manager/traffic-manager-monitoring.md
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from lab.cloud.arm import Answer, Call, ResourceManager
from lab.cloud.errors import ArmError, not_found

API = {"2026-09-01", "2022-04-01", "2018-08-01"}


@dataclass
class MonitorConfig:
    """Simulated seconds. ``tolerated`` failures are forgiven: the endpoint is degraded on the one after."""

    interval: float = 10.0
    timeout: float = 5.0
    tolerated: int = 2
    path: str = "/health"
    host: str = ""


@dataclass
class EndpointState:
    """One endpoint. ``address`` is what its target resolves to; ``enabled_since`` orders the DNS push."""

    name: str
    kind: str
    target: str
    priority: int
    enabled: bool
    monitor: str = "CheckingEndpoint"
    failures: int = 0
    history: list[tuple[float, float]] = field(default_factory=list)
    """(simulated time, 1 or 0): the metric ProbeAgentCurrentEndpointStateByProfileResourceId."""


class TrafficManager:
    """One profile with priority routing. Probes are real requests; certificates are not validated, as in Azure."""

    def __init__(
        self, arm: ResourceManager, profile: str, fqdn: str, ttl: float, config: MonitorConfig, port: int
    ) -> None:
        self._arm = arm
        self._profile = profile
        self._port = port
        self._probes: dict[str, asyncio.Task[None]] = {}
        self.fqdn = fqdn.lower()
        self.ttl = ttl
        self.method = "Priority"
        self.config = config
        self.endpoints: dict[str, EndpointState] = {}
        self._published: list[str] = []
        self._enabled = True
        group = "/subscriptions/{subscription}/resourceGroups/{group}/providers"
        template = f"{group}/Microsoft.Network/trafficManagerProfiles/{{profile}}"
        base = "Microsoft.Network/trafficManagerProfiles"
        arm.model("GET", template, f"{base}/read", API, self._get_profile)
        everywhere = "/subscriptions/{subscription}/providers/Microsoft.Network/trafficManagerProfiles"
        arm.model("GET", everywhere, f"{base}/read", API, self._list_profiles)
        for kind in ("externalEndpoints", "azureEndpoints"):
            arm.model("GET", f"{template}/{kind}/{{name}}", f"{base}/{kind}/read", API, self._get)
            arm.model("PATCH", f"{template}/{kind}/{{name}}", f"{base}/{kind}/write", API, self._patch)
            arm.model("PUT", f"{template}/{kind}/{{name}}", f"{base}/{kind}/write", API, self._put)

    def add(self, endpoint: EndpointState) -> None:
        endpoint.monitor = "CheckingEndpoint" if endpoint.enabled else "Disabled"
        self.endpoints[endpoint.name.lower()] = endpoint

    def start(self) -> None:
        """Starts to probe every enabled endpoint."""
        self._published = self._served()
        for endpoint in self.endpoints.values():
            if endpoint.enabled:
                self._probe(endpoint)

    async def stop(self) -> None:
        for task in self._probes.values():
            task.cancel()
        await asyncio.gather(*self._probes.values(), return_exceptions=True)

    # Probing

    def _probe(self, endpoint: EndpointState) -> None:
        if endpoint.name not in self._probes:
            self._probes[endpoint.name] = asyncio.create_task(self._watch(endpoint))

    async def _watch(self, endpoint: EndpointState) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        clock = self._arm.clock
        seconds = max(2.0, clock.real(self.config.timeout))
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session:
            while True:
                began = clock.now
                try:
                    status = await self._ask(session, context, endpoint.target)
                except (aiohttp.ClientError, TimeoutError, OSError):
                    status = 0
                self._judge(endpoint, healthy=status == 200)
                await clock.sleep(self.config.interval - (clock.now - began))

    async def _ask(self, session: aiohttp.ClientSession, context: ssl.SSLContext, target: str) -> int:
        """One probe of an endpoint: the status that its page answers."""
        url, headers = f"https://{target}:{self._port}{self.config.path}", {"Host": self.config.host}
        async with session.get(url, ssl=context, headers=headers, allow_redirects=False) as response:
            return response.status

    def _judge(self, endpoint: EndpointState, *, healthy: bool) -> None:
        endpoint.failures = 0 if healthy else endpoint.failures + 1
        if healthy:
            endpoint.monitor = "Online"
        elif endpoint.failures > self.config.tolerated:
            endpoint.monitor = "Degraded"
        endpoint.history.append((self._arm.clock.now, 0.0 if endpoint.monitor == "Degraded" else 1.0))
        del endpoint.history[:-500]
        self._publish()

    def switch(self, name: str, enabled: bool) -> None:
        """Enables or disables an endpoint, also as a person in the portal does."""
        endpoint = self.endpoints[name.lower()]
        if endpoint.enabled == enabled:
            return
        endpoint.enabled = enabled
        endpoint.failures = 0
        endpoint.monitor = "CheckingEndpoint" if enabled else "Disabled"
        if enabled:
            self._probe(endpoint)
        elif task := self._probes.pop(endpoint.name, None):
            task.cancel()
        self._publish()

    def switch_profile(self, enabled: bool) -> None:
        """Enables or disables the whole profile, as in the portal: a disabled one answers no name."""
        self._enabled = enabled
        self._publish()

    # DNS

    def _served(self) -> list[str]:
        """Priority routing: the first endpoint that is not degraded; when all are degraded, all of them."""
        if not self._enabled:
            return []
        enabled = sorted((e for e in self.endpoints.values() if e.enabled), key=lambda e: e.priority)
        well = [e for e in enabled if e.monitor != "Degraded"]
        return [well[0].target] if well else [e.target for e in enabled]

    def _publish(self) -> None:
        """The name servers give the new answer a little later."""
        served = self._served()

        async def push() -> None:
            await self._arm.clock.sleep(self._arm.times.dns_push)
            self._published = self._served()

        if served != self._published:
            self._pushing = asyncio.create_task(push())

    def resolve(self, name: str) -> list[str] | None:
        """The name servers' answer; None for a name that is not theirs."""
        return self._published if name.lower().rstrip(".") == self.fqdn else None

    # Resource Manager

    def _view(self, endpoint: EndpointState) -> dict[str, Any]:
        return {
            "id": f"{self._profile}/{endpoint.kind}/{endpoint.name}",
            "name": endpoint.name,
            "type": f"Microsoft.Network/trafficManagerProfiles/{endpoint.kind}",
            "properties": {
                "endpointStatus": "Enabled" if endpoint.enabled else "Disabled",
                "endpointMonitorStatus": "Inactive" if endpoint.enabled and not self._enabled else endpoint.monitor,
                "target": endpoint.target,
                "weight": 1,
                "priority": endpoint.priority,
                "endpointLocation": "West Europe",
            },
        }

    async def _list_profiles(self, call: Call) -> Answer:
        return Answer(200, {"value": [self._view_profile()]})

    async def _get_profile(self, call: Call) -> Answer:
        self._check_profile(call)
        return Answer(200, self._view_profile())

    def _view_profile(self) -> dict[str, Any]:
        states = {e.monitor for e in self.endpoints.values() if e.enabled}
        status = "Degraded" if "Degraded" in states else "Online" if states == {"Online"} else "CheckingEndpoints"
        status = status if self._enabled else "Disabled"
        return {
            "id": self._profile,
            "name": self._profile.split("/")[-1],
            "type": "Microsoft.Network/trafficManagerProfiles",
            "location": "global",
            "tags": {},
            "properties": {
                "profileStatus": "Enabled" if self._enabled else "Disabled",
                "trafficRoutingMethod": self.method,
                "dnsConfig": {"relativeName": self.fqdn.split(".")[0], "fqdn": self.fqdn, "ttl": round(self.ttl)},
                "monitorConfig": {
                    "profileMonitorStatus": status,
                    "protocol": "HTTPS",
                    "port": 443,
                    "path": self.config.path,
                    "intervalInSeconds": round(self.config.interval),
                    "timeoutInSeconds": round(self.config.timeout),
                    "toleratedNumberOfFailures": self.config.tolerated,
                    "customHeaders": [{"name": "host", "value": self.config.host}],
                },
                "endpoints": [self._view(endpoint) for endpoint in self.endpoints.values()],
            },
        }

    def _check_profile(self, call: Call) -> None:
        if not f"{call.path.lower()}/".startswith(f"{self._profile.lower()}/"):
            raise not_found("Microsoft.Network/trafficManagerProfiles", call.names["profile"], call.names["group"])

    def _find(self, call: Call) -> EndpointState:
        self._check_profile(call)
        endpoint = self.endpoints.get(call.names["name"].lower())
        if endpoint is None or f"/{endpoint.kind.lower()}/" not in call.path.lower():
            raise not_found(
                "Microsoft.Network/trafficManagerProfiles/endpoints", call.names["name"], call.names["group"]
            )
        return endpoint

    async def _get(self, call: Call) -> Answer:
        return Answer(200, self._view(self._find(call)))

    async def _patch(self, call: Call) -> Answer:
        """Synchronous; omitted properties are kept."""
        endpoint = self._find(call)
        wanted = call.body.get("properties") or {}
        if set(wanted) - {"endpointStatus"} or wanted.get("endpointStatus") not in ("Enabled", "Disabled"):
            raise ArmError(400, "NotSimulated", "NotSimulated: PATCH of an endpoint other than endpointStatus.")
        return await self._order(call, endpoint)

    async def _put(self, call: Call) -> Answer:
        """The whole endpoint, as ``az network traffic-manager endpoint update`` sends it."""
        endpoint = self._find(call)
        wanted, known = call.body.get("properties") or {}, self._view(endpoint)["properties"]
        same = all(wanted.get(key) == known.get(key) for key in ("target", "priority"))
        if not same or wanted.get("endpointStatus") not in ("Enabled", "Disabled"):
            raise ArmError(400, "NotSimulated", "NotSimulated: PUT of an endpoint that changes more than its status.")
        return await self._order(call, endpoint)

    async def _order(self, call: Call, endpoint: EndpointState) -> Answer:
        if call.fault and call.fault.error == "ignored":
            return Answer(200, self._view(endpoint))
        if call.fault and call.fault.error == "hang":
            await self._arm.clock.sleep(60)
            raise ArmError(504, "GatewayTimeout", "The gateway did not receive a response in time.")
        if call.fault:
            raise ArmError(409, call.fault.error, f"The request failed: {call.fault.error}.")
        await self._arm.clock.sleep(self._arm.times.of("endpoint_update", endpoint.name))
        self.switch(endpoint.name, call.body["properties"]["endpointStatus"] == "Enabled")
        return Answer(200, self._view(endpoint))
