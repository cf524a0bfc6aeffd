"""Events for instances that have ended or never began, beside the uncorrected behaviour."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from durabletask.client import AsyncTaskHubGrpcClient

from functions.engine import DurableEngine
from shared.models.errors import StorageUnavailableError
from tests.lab.peer import (
    Peer,
    end,
)


def tell_what_has_ended(peer: Peer) -> None:
    peer.start("order")
    peer.answer(peer.stream().take(), end())
    peer.tell("order")


def test_an_event_for_an_ended_instance_is_refused(hub: Peer) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        tell_what_has_ended(hub)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_uncorrected_backend_accepts_an_event_for_an_ended_instance(uncorrected: Peer) -> None:
    tell_what_has_ended(uncorrected)


async def _tell(peer: Peer, instance_id: str) -> None:
    client = AsyncTaskHubGrpcClient(host_address=f"127.0.0.1:{peer.port}")
    try:
        await DurableEngine(client).send(instance_id, "News", {})  # type: ignore[arg-type]
    finally:
        await client.close()


def test_to_the_app_an_event_that_nothing_hears_is_no_error(hub: Peer) -> None:
    """An answer to a run that has just ended, or that never began, gets no 503."""
    hub.start("order")
    hub.answer(hub.stream().take(), end())
    asyncio.run(_tell(hub, "order"))
    asyncio.run(_tell(hub, "unknown"))


def test_to_the_app_an_engine_that_is_away_is_an_error(hub: Peer) -> None:
    hub.start("order")
    hub.close()
    with pytest.raises(StorageUnavailableError):
        asyncio.run(_tell(hub, "order"))


def test_an_event_for_an_unknown_instance_is_refused(hub: Peer) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        hub.tell("order")
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
