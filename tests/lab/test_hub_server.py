"""The task hub's server: its address, its number of clients, its size limits, and its end."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from google.protobuf import empty_pb2, wrappers_pb2

from tests.lab.peer import Peer, Stream, end, new_event, send_events
from tests.waiting import LIMIT, wait_until

REPOSITORY = Path(__file__).parents[2]


def accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=LIMIT).close()
    except ConnectionRefusedError:
        return False
    return True


def test_listens_on_the_loopback_address_only(hub: Peer) -> None:
    assert accepts("127.0.0.1", hub.port)
    assert not accepts("127.0.0.2", hub.port)


def test_uncorrected_backend_listens_on_every_address(uncorrected: Peer) -> None:
    assert accepts("127.0.0.2", uncorrected.port)


def wait_with(peer: Peer, clients: int, seconds: float) -> list[grpc.Future]:
    request = pb.GetInstanceRequest(instanceId="order")
    return [peer.stub.WaitForInstanceCompletion.future(request, timeout=seconds) for _ in range(clients)]


def test_sixty_clients_wait_for_an_instance_that_a_worker_then_ends(hub: Peer) -> None:
    waiting = wait_with(hub, 60, LIMIT)
    wait_until(lambda: hub.waiting("order") == 60, LIMIT, "sixty clients are waiting at once")
    stream = hub.stream()
    hub.start("order")
    hub.answer(stream.take(), end())
    statuses = [call.result().orchestrationState.orchestrationStatus for call in waiting]
    assert statuses == [pb.ORCHESTRATION_STATUS_COMPLETED] * 60


def test_uncorrected_backend_answers_no_client_while_ten_clients_wait(uncorrected: Peer) -> None:
    waiting = wait_with(uncorrected, 10, 2.0)
    wait_until(lambda: uncorrected.waiting("order") == 10, LIMIT, "ten clients are waiting at once")
    with pytest.raises(grpc.RpcError) as late:
        uncorrected.stub.Hello(empty_pb2.Empty(), timeout=0.3)
    assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert not any(call.done() for call in waiting)


BIG = wrappers_pb2.StringValue(value="x" * 5 * 1024 * 1024)


def test_takes_and_gives_inputs_beyond_grpcs_four_megabytes(hub: Peer) -> None:
    stream = hub.stream()
    hub.start("order", input=BIG)
    assert new_event(stream.take(), "executionStarted").input == BIG


def test_uncorrected_backend_refuses_inputs_beyond_four_megabytes(uncorrected: Peer) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        uncorrected.start("order", input=BIG)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def end_with_a_long_history(peer: Peer) -> None:
    stream = peer.stream()
    peer.start("order")
    peer.answer(stream.take(), *send_events(10_001))
    peer.tell("order")
    peer.answer(stream.take(), end())


def test_a_history_may_grow_beyond_ten_thousand_events(hub: Peer) -> None:
    end_with_a_long_history(hub)
    assert hub.state("order").orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED


def test_uncorrected_backend_refuses_turns_of_long_histories(uncorrected: Peer) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        end_with_a_long_history(uncorrected)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "lab.host.hub"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_the_process_says_its_address_and_ends_with_its_standard_input(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    assert process.stdout
    with grpc.insecure_channel(json.loads(process.stdout.readline())["address"]) as channel:
        stub = stubs.TaskHubSidecarServiceStub(channel)
        stub.Hello(empty_pb2.Empty(), timeout=LIMIT)
        stream = Stream(stub)
        process.stdin.close()
        assert process.wait(LIMIT) == 0
        stream.end()


def test_the_process_ends_though_a_client_would_wait_for_longer(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    assert process.stdout
    with grpc.insecure_channel(json.loads(process.stdout.readline())["address"]) as channel:
        stub = stubs.TaskHubSidecarServiceStub(channel)
        stub.StartInstance(pb.CreateInstanceRequest(instanceId="order", name="Work"))
        waiting = stub.WaitForInstanceCompletion.future(pb.GetInstanceRequest(instanceId="order"), timeout=60.0)
        stub.Hello(empty_pb2.Empty(), timeout=LIMIT)
        process.stdin.close()
        assert process.wait(3.0) == 0
        waiting.cancel()
