"""For one test: the task hub and the backend that it corrects, each over gRPC, and a Coldsite that answers as told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend

from lab.host.hub import TaskHub
from tests.lab.peer import Peer, free_port
from tests.lab.screens import Coldsite, coldsite


@pytest.fixture
def hub() -> Iterator[Peer]:
    with contextlib.closing(Peer(TaskHub())) as peer:
        yield peer


@pytest.fixture
def uncorrected() -> Iterator[Peer]:
    with contextlib.closing(Peer(InMemoryOrchestrationBackend(port=free_port()))) as peer:
        yield peer


@pytest.fixture
def site() -> Iterator[Coldsite]:
    with coldsite() as site:
        yield site
