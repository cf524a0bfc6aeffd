"""One orchestrator on Microsoft's executor, held between its turns as the engine's extended sessions hold it.

The Functions host replays the whole history at every turn. Held, a turn costs what is new in it, and hours of a plan's
life fit into a second; that a replay from the beginning orders the same is checked now and then, and at the end.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

from azure.durable_functions.worker import DurableFunctionsWorker
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.worker import _OrchestrationExecutor, _RuntimeOrchestrationContext

CHECK_EVERY = 100
"""Turns between two replays from the beginning."""


class Execution:
    """The turns of one execution of an instance."""

    def __init__(
        self, worker: DurableFunctionsWorker, instance_id: str, orchestrator: str, function: Callable[..., Any]
    ) -> None:
        self._worker: Any = worker
        self._id = instance_id
        self._function = function
        worker._register_orchestrator_once(orchestrator, self._function)
        self._executor = _OrchestrationExecutor(
            self._worker._registry, self._worker._logger, data_converter=self._worker._data_converter
        )
        self._executor._orchestration_name = orchestrator
        self._ctx = _RuntimeOrchestrationContext(
            instance_id, self._worker._registry, data_converter=self._worker._data_converter
        )
        self._known = 0
        self._turns = 0

    def turn(self, history: Sequence[pb.HistoryEvent], news: Sequence[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
        """What the orchestrator orders next. ``history`` is everything before ``news``."""
        ctx: Any = self._ctx
        try:
            for replaying, events in ((True, history[self._known :]), (False, news)):
                ctx._is_replaying = replaying
                for event in events:
                    self._executor.process_event(ctx, event)
        except Exception as error:  # noqa: BLE001 (as the executor does: it fails the orchestration)
            ctx.set_failed(error)
        self._known = len(history) + len(news)
        self._turns += 1
        actions: list[pb.OrchestratorAction] = ctx.get_actions()
        if ctx._is_complete or self._turns % CHECK_EVERY == 0:
            self._check(history, news, actions)
        return actions

    def _check(
        self, history: Sequence[pb.HistoryEvent], news: Sequence[pb.HistoryEvent], actions: list[pb.OrchestratorAction]
    ) -> None:
        """What was ordered is what a replay from the beginning orders, as the host will do it."""
        request = pb.OrchestratorRequest(instanceId=self._id, pastEvents=history, newEvents=news)
        answer = self._worker.execute_orchestration_request(
            self._function, base64.b64encode(request.SerializeToString()).decode()
        )
        replayed = pb.OrchestratorResponse.FromString(base64.b64decode(answer)).actions
        assert [_without_trace(action) for action in replayed] == [_without_trace(action) for action in actions], (
            f"{self._id} orders something else when it is replayed: {replayed}"
        )


def _without_trace(action: pb.OrchestratorAction) -> pb.OrchestratorAction:
    """A failure's stack names the executor's own lines."""
    copy = pb.OrchestratorAction()
    copy.CopyFrom(action)
    if copy.HasField("completeOrchestration"):
        copy.completeOrchestration.failureDetails.ClearField("stackTrace")
    return copy
