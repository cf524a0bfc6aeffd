"""The task hub's corrections of durabletask's backend, each beside the uncorrected behaviour."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend

from lab.host.hub import TaskHub
from tests.lab.peer import (
    SILENCE,
    Peer,
    Stream,
    activity,
    child,
    continue_as_new,
    end,
    failure,
    fire_time,
    free_port,
    new_event,
    new_kinds,
    timer,
)

CHILD_WAIT = 0.1
"""Seconds. Stands for the 30 after which the uncorrected backend forgets a sub-orchestration."""


# The work items of a stream that ends.


def activity_of_an_ended_stream(peer: Peer) -> tuple[pb.WorkItem, Stream]:
    first = peer.stream()
    peer.start("order")
    peer.answer(first.take(), activity())
    given = first.take()
    first.end()
    return given, peer.stream()


def test_an_activity_is_redelivered_when_its_stream_ends(hub: Peer) -> None:
    given, second = activity_of_an_ended_stream(hub)
    assert second.take() == given


def test_uncorrected_backend_loses_an_activity_when_its_stream_ends(uncorrected: Peer) -> None:
    _, second = activity_of_an_ended_stream(uncorrected)
    assert second.silent()


def turn_of_an_ended_stream(peer: Peer) -> tuple[pb.WorkItem, Stream]:
    first = peer.stream()
    peer.start("order")
    peer.answer(first.take())
    peer.tell("order")
    given = first.take()
    first.end()
    return given, peer.stream()


def test_a_turn_is_redelivered_with_the_same_events_when_its_stream_ends(hub: Peer) -> None:
    given, second = turn_of_an_ended_stream(hub)
    again = second.take()
    assert again.orchestratorRequest.pastEvents == given.orchestratorRequest.pastEvents
    assert new_kinds(again) == new_kinds(given) == ["orchestratorStarted", "eventRaised"]


@pytest.mark.parametrize("left", [activity_of_an_ended_stream, turn_of_an_ended_stream])
def test_what_a_lost_instance_held_is_given_once_its_messages_can_be_seen(
    left: Callable[[Peer], tuple[pb.WorkItem, Stream]],
) -> None:
    with contextlib.closing(Peer(TaskHub(visibility=2 * SILENCE))) as peer:
        _, second = left(peer)
        assert second.silent()
        assert second.take()


def test_a_first_turn_is_redelivered_with_its_start(hub: Peer) -> None:
    first = hub.stream()
    hub.start("order")
    given = first.take()
    first.end()
    assert new_kinds(hub.stream().take()) == new_kinds(given) == ["orchestratorStarted", "executionStarted"]


def test_uncorrected_backend_loses_a_turn_when_its_stream_ends(uncorrected: Peer) -> None:
    _, second = turn_of_an_ended_stream(uncorrected)
    assert second.silent()


def test_a_late_answer_to_a_turn_that_was_redelivered_is_ignored(hub: Peer) -> None:
    given, second = turn_of_an_ended_stream(hub)
    again = second.take()
    hub.answer(given, end(result='"late"'))
    assert hub.state("order").orchestrationStatus == pb.ORCHESTRATION_STATUS_RUNNING
    hub.answer(again, end(result='"second"'))
    assert hub.state("order").output.value == '"second"'


def turn_after_two_answers(peer: Peer) -> pb.WorkItem:
    """The turn after one that was running when its activity completed for the second time."""
    stream = peer.stream()
    peer.start("order")
    peer.answer(stream.take(), activity())
    item = stream.take()
    peer.answer_activity(item)
    turn = stream.take()
    peer.answer_activity(item)
    peer.tell("order")
    peer.answer(turn)
    return stream.take()


def test_a_second_answer_to_an_activity_is_ignored(hub: Peer) -> None:
    assert new_kinds(turn_after_two_answers(hub)) == ["orchestratorStarted", "eventRaised"]


def test_uncorrected_backend_records_a_second_answer(uncorrected: Peer) -> None:
    assert "taskCompleted" in new_kinds(turn_after_two_answers(uncorrected))


def test_every_instance_ends_with_one_answer_recorded_though_streams_keep_ending(hub: Peer) -> None:
    names = [f"order-{number}" for number in range(20)]
    for name in names:
        hub.start(name)
    left = 3 * len(names)
    while left:
        stream = hub.stream()
        for _ in range(min(2, left)):
            item = stream.take()
            if item.HasField("activityRequest"):
                hub.answer_activity(item)
            else:
                hub.answer(item, end() if "taskCompleted" in new_kinds(item) else activity())
            left -= 1
        if left:
            stream.take()
        stream.end()
    assert {hub.state(name).orchestrationStatus for name in names} == {pb.ORCHESTRATION_STATUS_COMPLETED}
    assert {hub.history(name).count("taskCompleted") for name in names} == {1}


# Sub-orchestrations.


class ShortChildWait:
    """Shortens the 30 s for which the uncorrected backend listens for the end of a sub-orchestration."""

    def _wait_for_state(self, instance_id: str, predicate: Any, timeout: float | None) -> Any:
        return super()._wait_for_state(instance_id, predicate, timeout or CHILD_WAIT)  # type: ignore[misc]


class ShortWaitHub(ShortChildWait, TaskHub):
    pass


class ShortWaitBackend(ShortChildWait, InMemoryOrchestrationBackend):
    pass


def stream_after_a_long_child(peer: Peer) -> Stream:
    stream = peer.stream()
    peer.start("parent")
    peer.answer(stream.take(), child())
    peer.answer(stream.take(), timer(4 * CHILD_WAIT))
    peer.answer(stream.take(), end(result='"slow"'))
    return stream


def test_a_parent_hears_of_its_childs_end_however_late() -> None:
    with contextlib.closing(Peer(ShortWaitHub())) as peer:
        turn = stream_after_a_long_child(peer).take()
    assert new_event(turn, "subOrchestrationInstanceCompleted").result.value == '"slow"'


def test_uncorrected_backend_never_tells_the_parent_of_a_child_that_outlives_its_wait() -> None:
    with contextlib.closing(Peer(ShortWaitBackend(port=free_port()))) as peer:
        assert stream_after_a_long_child(peer).silent()
        assert peer.state("parent").orchestrationStatus == pb.ORCHESTRATION_STATUS_RUNNING


def failure_of_a_child(peer: Peer, ending: pb.OrchestratorAction) -> pb.TaskFailureDetails:
    stream = peer.stream()
    peer.start("parent")
    peer.answer(stream.take(), child())
    peer.answer(stream.take(), ending)
    event = new_event(stream.take(), "subOrchestrationInstanceFailed")
    assert event.taskScheduledId == 7
    return event.failureDetails


def test_a_childs_failure_reaches_its_parent_with_type_and_message(hub: Peer) -> None:
    details = failure("CapacityError", "no room")
    assert failure_of_a_child(hub, end(pb.ORCHESTRATION_STATUS_FAILED, failure_details=details)) == details


def test_uncorrected_backend_loses_the_type_of_a_childs_failure(uncorrected: Peer) -> None:
    details = failure("CapacityError", "no room")
    heard = failure_of_a_child(uncorrected, end(pb.ORCHESTRATION_STATUS_FAILED, failure_details=details))
    assert heard.errorType.endswith("Exception")


def test_a_terminated_child_fails_its_parents_task(hub: Peer) -> None:
    assert failure_of_a_child(hub, end(pb.ORCHESTRATION_STATUS_TERMINATED)).errorType == "OrchestrationTerminated"


def start_of_a_child(peer: Peer) -> pb.ExecutionStartedEvent:
    stream = peer.stream()
    peer.start("parent")
    peer.answer(stream.take(), child())
    return new_event(stream.take(), "executionStarted")


def test_a_child_knows_its_parent(hub: Peer) -> None:
    parent = start_of_a_child(hub).parentInstance
    assert (parent.name.value, parent.orchestrationInstance.instanceId) == ("Work", "parent")
    assert parent.taskScheduledId == 7


def test_uncorrected_backend_does_not_tell_a_child_its_parent(uncorrected: Peer) -> None:
    assert not start_of_a_child(uncorrected).HasField("parentInstance")


def test_a_second_child_of_a_running_id_is_refused_and_leaves_the_first_ones_parent(hub: Peer) -> None:
    stream = hub.stream()
    hub.start("parent")
    hub.answer(stream.take(), child(task_id=7), child(task_id=8))
    turns = {turn.orchestratorRequest.instanceId: turn for turn in (stream.take(), stream.take())}
    assert new_event(turns["parent"], "subOrchestrationInstanceFailed").taskScheduledId == 8
    assert new_event(turns["child"], "executionStarted").parentInstance.taskScheduledId == 7


# Successive executions under one id.


def timers_fired_after(peer: Peer, stream: Stream, old: pb.OrchestratorAction) -> list[str]:
    """Which timers the second execution receives, until its own or the first one's fires."""
    first = stream.take()
    new = timer(0.4)
    peer.answer(first, new)
    events = [*first.orchestratorRequest.newEvents, *stream.take().orchestratorRequest.newEvents]
    fired = [fire_time(event.timerFired) for event in events if event.HasField("timerFired")]
    return ["old" if at == fire_time(old.createTimer) else "new" for at in fired]


def timers_fired_after_continuing_as_new(peer: Peer) -> list[str]:
    stream, old = peer.stream(), timer(0.2)
    peer.start("order")
    peer.answer(stream.take(), old, continue_as_new())
    return timers_fired_after(peer, stream, old)


def test_a_timer_does_not_fire_into_the_next_generation(hub: Peer) -> None:
    assert timers_fired_after_continuing_as_new(hub) == ["new"]


def test_uncorrected_backend_fires_old_timers_into_the_next_generation(uncorrected: Peer) -> None:
    assert timers_fired_after_continuing_as_new(uncorrected)[0] == "old"


@pytest.mark.parametrize(("grain", "early"), [(0.0, False), (1.0, True)])
def test_a_timer_is_early_by_less_than_the_grain(grain: float, early: bool) -> None:
    with contextlib.closing(Peer(TaskHub(grain=grain))) as peer:
        stream, action = peer.stream(), timer(1.9)
        peer.start("order")
        peer.answer(stream.take(), action)
        assert new_kinds(stream.take()) == ["orchestratorStarted", "timerFired"]
        ahead = (fire_time(action.createTimer) - datetime.now(UTC)).total_seconds()
        assert 0 < ahead < grain if early else ahead <= 0


def timers_fired_after_reusing_the_id(peer: Peer) -> list[str]:
    stream, old = peer.stream(), timer(0.2)
    ended = pb.OrchestrationIdReusePolicy(replaceableStatus=[pb.ORCHESTRATION_STATUS_COMPLETED])
    peer.start("order")
    peer.answer(stream.take(), old, end())
    peer.start("order", orchestrationIdReusePolicy=ended)
    return timers_fired_after(peer, stream, old)


def test_a_timer_does_not_fire_into_another_instance_of_the_same_id(hub: Peer) -> None:
    assert timers_fired_after_reusing_the_id(hub) == ["new"]


def test_uncorrected_backend_fires_old_timers_into_a_reused_id(uncorrected: Peer) -> None:
    assert timers_fired_after_reusing_the_id(uncorrected)[0] == "old"


def turn_after_an_old_generations_activity(peer: Peer) -> pb.WorkItem:
    stream = peer.stream()
    peer.start("order")
    peer.answer(stream.take(), activity(), continue_as_new())
    peer.answer(stream.take())
    peer.answer_activity(stream.take())
    peer.tell("order")
    return stream.take()


def test_an_activitys_answer_does_not_reach_the_next_generation(hub: Peer) -> None:
    assert new_kinds(turn_after_an_old_generations_activity(hub)) == ["orchestratorStarted", "eventRaised"]


def test_uncorrected_backend_gives_old_answers_to_the_next_generation(uncorrected: Peer) -> None:
    assert "taskCompleted" in new_kinds(turn_after_an_old_generations_activity(uncorrected))


def end_and_start_again(peer: Peer) -> None:
    stream = peer.stream()
    peer.start("order")
    peer.answer(stream.take(), end(result='"first"'))
    peer.start("order")
    peer.answer(stream.take(), end(result='"second"'))


def test_an_ended_id_is_overwritten(hub: Peer) -> None:
    end_and_start_again(hub)
    assert hub.state("order").output.value == '"second"'


def test_uncorrected_backend_refuses_an_ended_id(uncorrected: Peer) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        end_and_start_again(uncorrected)
    assert refused.value.code() == grpc.StatusCode.ALREADY_EXISTS


def test_a_running_id_is_refused(hub: Peer) -> None:
    hub.start("order")
    with pytest.raises(grpc.RpcError) as refused:
        hub.start("order")
    assert refused.value.code() == grpc.StatusCode.ALREADY_EXISTS


# Purging.


def purge(peer: Peer) -> pb.PurgeInstancesResponse:
    return peer.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="order"))


def test_an_instance_that_runs_is_not_purged(hub: Peer) -> None:
    hub.start("order")
    with pytest.raises(grpc.RpcError) as refused:
        purge(hub)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    hub.answer(hub.stream().take(), end())
    assert purge(hub).deletedInstanceCount == 1


def test_uncorrected_backend_says_nothing_of_an_instance_that_runs(uncorrected: Peer) -> None:
    uncorrected.start("order")
    assert purge(uncorrected).deletedInstanceCount == 0


# Failures without a message.


def turn_after_a_failure_without_a_message(peer: Peer) -> pb.WorkItem:
    stream = peer.stream()
    peer.start("order")
    peer.answer(stream.take(), activity())
    peer.answer_activity(stream.take(), failure("CapacityError", ""))
    return stream.take()


def test_an_activitys_failure_without_a_message_is_a_failure(hub: Peer) -> None:
    details = new_event(turn_after_a_failure_without_a_message(hub), "taskFailed").failureDetails
    assert details == failure("CapacityError", "CapacityError gave no message.")


def test_uncorrected_backend_takes_a_failure_without_a_message_for_success(uncorrected: Peer) -> None:
    assert "taskCompleted" in new_kinds(turn_after_a_failure_without_a_message(uncorrected))


def test_an_instances_failure_without_a_message_gets_one(hub: Peer) -> None:
    stream = hub.stream()
    hub.start("order")
    hub.answer(stream.take(), end(pb.ORCHESTRATION_STATUS_FAILED, failure_details=failure("CapacityError", "")))
    assert hub.state("order").failureDetails == failure("CapacityError", "CapacityError gave no message.")
