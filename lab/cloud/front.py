"""The lab's two web addresses: HTTPS for Azure's services, plain HTTP for the managed identity and notifications."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable
from typing import Any

from aiohttp import web

from lab.cloud.arm import Answer, Call, ResourceManager
from lab.cloud.identity import TENANT, Identity
from lab.cloud.monitor import LogAnalytics


class Front:
    """Starts both listeners. ``notifications`` keeps the sent notifications."""

    def __init__(
        self, arm: ResourceManager, identity: Identity, logs: LogAnalytics, tls: ssl.SSLContext, subscription: str
    ) -> None:
        self._arm = arm
        self._identity = identity
        self._logs = logs
        self._tls = tls
        self._subscription = subscription
        self._runners: list[web.AppRunner] = []
        self.url = self.identity_url = self.notify_url = ""
        self.notify_secret = secrets.token_hex(12)
        """Part of the address, as in Teams' and Slack's: knowledge of it is the permission to write there."""
        self.notifications: list[dict[str, Any]] = []
        self.routes: list[Callable[[web.Application], None]] = []
        """The other routes at the plain address."""
        self.plain_url = ""
        arm.model("GET", "/subscriptions", "", {"2022-12-01"}, self._subscriptions)

    async def start(self) -> None:
        secure = web.Application(client_max_size=4 * 1024 * 1024)
        secure.router.add_get("/metadata/endpoints", self._metadata)
        secure.router.add_get("/{tenant}/discovery/v2.0/keys", self._identity.keys)
        secure.router.add_post("/v1/workspaces/{workspace}/query", self._logs.query)
        secure.router.add_route("*", "/{tail:.*}", self._arm.serve)
        port = await self._listen(secure, self._tls)
        self.url = f"https://127.0.0.1:{port}"
        plain = web.Application()
        plain.router.add_get("/identity/token", self._identity.token)
        plain.router.add_post(f"/notify/{self.notify_secret}", self._notify)
        for add in self.routes:
            add(plain)
        port = await self._listen(plain, None)
        self.plain_url = f"http://127.0.0.1:{port}"
        self.identity_url = f"http://127.0.0.1:{port}/identity/token"
        self.notify_url = f"json://127.0.0.1:{port}/notify/{self.notify_secret}"

    async def _listen(self, app: web.Application, tls: ssl.SSLContext | None) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        port: int = runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    async def _notify(self, request: web.Request) -> web.Response:
        self.notifications.append(await request.json())
        return web.Response(status=200)

    async def _subscriptions(self, call: Call) -> Answer:
        """Source: Azure/azure-rest-api-specs, Microsoft.Resources, GetSubscriptions example."""
        subscription = {
            "id": f"/subscriptions/{self._subscription}",
            "subscriptionId": self._subscription,
            "tenantId": TENANT,
            "displayName": "Coldsite lab",
            "state": "Enabled",
            "subscriptionPolicies": {"locationPlacementId": "Lab", "quotaId": "Lab", "spendingLimit": "Off"},
            "authorizationSource": "RoleBased",
            "managedByTenants": [],
        }
        return Answer(200, {"value": [subscription], "count": {"type": "Total", "value": 1}})

    async def _metadata(self, request: web.Request) -> web.Response:
        """What ``az cloud register --endpoint-resource-manager`` reads; tried with az 2.91."""
        return web.json_response(
            {
                "name": "ColdsiteLab",
                "portal": self.url,
                "graph": f"{self.url}/graph",
                "graphAudience": f"{self.url}/graph",
                "authentication": {
                    "loginEndpoint": self.url,
                    "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
                    "tenant": "common",
                    "identityProvider": "AAD",
                },
                "resourceManager": self.url,
                "suffixes": {
                    "storage": "localhost",
                    "keyVaultDns": "vault.localhost",
                    "sqlServerHostname": "sql.localhost",
                },
                "media": self.url,
                "batch": self.url,
                "gallery": self.url,
                "sqlManagement": self.url,
                "vmImageAliasDoc": f"{self.url}/aliases",
                "activeDirectoryDataLake": self.url,
            }
        )
