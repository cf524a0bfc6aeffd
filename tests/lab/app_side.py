"""The app's own functions in this process against the lab: with its identity, its settings and its real SDK clients."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import connector

from lab.processes import reserve_ports
from lab.storage import Azurite
from shared.azure import clients
from shared.models.ids import Kind, new_run_id
from shared.models.runs import Phase, RecoveryRun
from shared.store import tables
from shared.store.runs import open_run
from tests.lab.azure import Azure, simulated
from tests.loops import LoopThread, collect_quietly
from tests.waiting import LIMIT


class AppSide:
    """One event loop, as a worker has one. Use ``as_the_app()`` or ``with_a_history()``."""

    def __init__(self, azure: Azure) -> None:
        self.azure = azure
        self._loop = LoopThread()

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work, LIMIT)

    def close(self) -> None:
        try:
            self.run(self._close_clients())
        finally:
            self._loop.close()
            collect_quietly()

    async def _close_clients(self) -> None:
        loop = asyncio.get_running_loop()
        for client in clients._clients.pop(loop, {}).values():
            await client.close()
        for table in tables._tables.pop(loop, {}).values():
            # A table's client leaves its transport to its service's client, which the app does not keep.
            await table._client._client._pipeline._transport._transport.close()
        await asyncio.sleep(0.1)  # TLS connections take a few turns of the loop to close


@contextlib.contextmanager
def as_the_app(azure: Azure, **settings: str) -> Iterator[AppSide]:
    """The settings that point the app to ``azure``, plus ``settings``."""
    trust(azure.ca)
    with pytest.MonkeyPatch.context() as environment:
        defaults = {
            "IDENTITY_ENDPOINT": azure.front.identity_url,
            "IDENTITY_HEADER": azure.identity.header,
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
            "COLDSITE_RESOURCE_MANAGER": azure.front.url,
        }
        for name, value in (defaults | settings).items():
            environment.setenv(name, value)
        side = AppSide(azure)
        try:
            yield side
        finally:
            side.close()


@contextlib.contextmanager
def with_a_history() -> Iterator[AppSide]:
    """The app beside Azurite, which holds its history. Each test uses its own plan."""
    with contextlib.ExitStack() as kept:
        folder = Path(kept.enter_context(tempfile.TemporaryDirectory()))
        certificate, key = _issue(folder)
        ((port, reserved),) = reserve_ports(1)
        kept.enter_context(reserved)
        azure = kept.enter_context(simulated())
        azurite = Azurite(folder, port, certificate, key)
        azure.run(azurite.start())
        kept.callback(lambda: azure.run(azurite.stop()))
        yield kept.enter_context(as_the_app(azure, COLDSITE_TABLES_ENDPOINT=azurite.endpoint))


def trust(authority: Path) -> None:
    """A worker's process reads SSL_CERT_FILE when it starts; this one is running, so the authority is added to its
    context.
    """
    context: ssl.SSLContext = connector._SSL_CONTEXT_VERIFIED
    context.load_verify_locations(cafile=str(authority))


def _issue(folder: Path) -> tuple[Path, Path]:
    """A certificate for Azurite, issued by an authority that the app trusts."""
    authority = trustme.CA()
    own, certificate, key = folder / "ca.pem", folder / "azurite.pem", folder / "azurite.key"
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(own))
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(str(certificate), append=number > 0)
    issued.private_key_pem.write_to_path(str(key))
    trust(own)
    return certificate, key


async def opened(plan: str, kind: Kind = "drill", at: datetime | None = None) -> RecoveryRun:
    """A run whose row is on record, without an orchestration: for tests of the history alone."""
    at = at or datetime.now(UTC)
    run = RecoveryRun(
        run_id=new_run_id(plan, kind, at),
        plan=plan,
        plan_hash="0",
        kind=kind,
        mode="planned",
        trigger="operator",
        reason="A test",
        phase=Phase.RECOVERING,
        started_at=at,
    )
    await open_run(run)
    return run
