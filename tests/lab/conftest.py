"""The task hub and the backend that it corrects, each served over gRPC for one test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend

from lab.host.hub import TaskHub
from tests.lab.peer import Peer, free_port


@pytest.fixture
def hub() -> Iterator[Peer]:
    with contextlib.closing(Peer(TaskHub())) as peer:
        yield peer


@pytest.fixture
def uncorrected() -> Iterator[Peer]:
    with contextlib.closing(Peer(InMemoryOrchestrationBackend(port=free_port()))) as peer:
        yield peer
