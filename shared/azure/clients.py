"""The Azure SDK's asynchronous clients: one of each per event loop, reused, with retries that never sleep long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from azure.core import AsyncPipelineClient
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncRetryPolicy
from azure.identity.aio import DefaultAzureCredential
from azure.mgmt.compute.aio import ComputeManagementClient
from azure.mgmt.trafficmanager.aio import TrafficManagerManagementClient
from azure.monitor.query.aio import LogsQueryClient

from shared import settings

RETRY_AFTER_CAP = 5.0
"""Seconds. An answer may say ``Retry-After: 1200``; an activity must not sleep that long, an orchestrator may."""

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, Any]] = WeakKeyDictionary()


class BriefRetryPolicy(AsyncRetryPolicy[Any, Any]):
    """Retries transient faults a few times and leaves throttling (429) to ``RunContext.insist``.

    azure-core retries GET, PUT and DELETE on 408 and 5xx; PATCH and POST on 500, 503 and 504 only
    (source: Azure/azure-sdk-for-python:sdk/core/azure-core/azure/core/pipeline/policies/_retry.py).
    """

    def __init__(self) -> None:
        super().__init__(retry_total=3, retry_backoff_factor=0.2, retry_backoff_max=2, retry_on_status_codes=[])

    def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
        """azure-core would retry any response that carries Retry-After, a 429 in particular."""
        return response.http_response.status_code != 429 and super().is_retry(settings, response)

    def get_retry_after(self, response: Any) -> float | None:
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, RETRY_AFTER_CAP)


def _shared[T](key: Any, make: Callable[[], T]) -> T:
    kept = _clients.setdefault(asyncio.get_running_loop(), {})
    if key not in kept:
        kept[key] = make()
    client: T = kept[key]
    return client


def credential() -> DefaultAzureCredential:
    """The app's identity: managed in Azure, the developer's own elsewhere."""
    return _shared("credential", DefaultAzureCredential)


def _arm_options() -> dict[str, Any]:
    return {
        "base_url": settings.resource_manager(),
        "credential_scopes": [f"{settings.resource_manager_audience()}/.default"],
        "retry_policy": BriefRetryPolicy(),
        "connection_timeout": 5,
        "read_timeout": 20,
    }


def compute(subscription: str) -> ComputeManagementClient:
    """Machines, disks, snapshots and Run Command of one subscription."""
    return _shared(
        ("compute", subscription), lambda: ComputeManagementClient(credential(), subscription, **_arm_options())
    )


def traffic(subscription: str) -> TrafficManagerManagementClient:
    """Traffic Manager profiles of one subscription."""
    return _shared(
        ("traffic", subscription), lambda: TrafficManagerManagementClient(credential(), subscription, **_arm_options())
    )


def blobs() -> AsyncPipelineClient[Any, Any]:
    """Blob storage by plain requests: one PUT needs no library of its own."""
    policies = [
        BriefRetryPolicy(),
        AsyncBearerTokenCredentialPolicy(credential(), "https://storage.azure.com/.default"),
    ]
    return _shared(
        "blobs",
        lambda: AsyncPipelineClient("", policies=policies, connection_timeout=2, read_timeout=5),
    )


def logs() -> LogsQueryClient:
    """Log Analytics. Its audience defaults to the endpoint, so the public one is named."""
    return _shared(
        "logs",
        lambda: LogsQueryClient(
            credential(),
            endpoint=settings.logs_endpoint(),
            audience="https://api.loganalytics.io",
            retry_policy=BriefRetryPolicy(),
        ),
    )
