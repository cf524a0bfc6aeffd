"""The only way to define an activity: a function from one frozen model to another, with its step in the history.

Only plain JSON crosses the boundary of the durable engine. The engine reduces an activity's exception to a bare class
name and one line, so Azure's expected answers are results, and only the unexpected is raised.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Literal, get_type_hints

import azure.durable_functions as df
from durabletask import task
from pydantic import TypeAdapter

from shared.models.operations import Refused, Started
from shared.models.steps import Order, StepEnd
from shared.store.steps import begin_step, end_step

Recording = Literal["around", "after", "never"]
"""``around``: the intent is written before the act. ``after``: for reads, which change nothing. ``never``: the activity
writes its own step."""

MAX_ATTEMPTS = 20


class Activity[O: Order, R]:
    """An activity as orchestrators see it: typed order in, typed result out."""

    def __init__(self, name: str, result: Any, record: Recording) -> None:
        self.name = name
        self.only_looks = record == "after"
        self._result: TypeAdapter[R] = TypeAdapter(result)

    def schedule(self, ctx: task.OrchestrationContext, order: O, retry_after: timedelta) -> task.CompletableTask[Any]:
        """Schedules the activity; the engine retries it when it raises, first after ``retry_after``."""
        policy = task.RetryPolicy(
            first_retry_interval=retry_after,
            max_number_of_attempts=MAX_ATTEMPTS,
            backoff_coefficient=1.5,
            max_retry_interval=retry_after * 30,
        )
        return ctx.call_activity(self.name, input=order.model_dump(mode="json"), retry_policy=policy)

    def read(self, raw: Any) -> R:
        """Parses the engine's JSON into the result's model."""
        return self._result.validate_python(raw)


def activity[O: Order, R](
    bp: df.Blueprint, record: Recording
) -> Callable[[Callable[[O], Awaitable[R]]], Activity[O, R]]:
    """Registers ``async def fn(order: Model) -> Result`` as the activity ``fn`` and returns its ``Activity``.

    With ``around``, an operation that was only started stays "running" in the history until ``check_operation`` sees
    it end.
    """

    def decorate(fn: Callable[[O], Awaitable[R]]) -> Activity[O, R]:
        hints = get_type_hints(fn)
        parameter = next(iter(inspect.signature(fn).parameters))
        order_type: type[O] = hints[parameter]
        adapter: TypeAdapter[R] = TypeAdapter(hints["return"])

        async def run(item: dict) -> dict:  # type: ignore[type-arg]
            order = order_type.model_validate(item)
            record_as: Recording = record if order.run.keeps_steps else "never"
            if record_as == "around":
                await begin_step(order.run.run_id, fn.__name__, order.target, order.attempt)
            try:
                result = await fn(order)
            except Exception as error:
                if record_as != "never":
                    await _record_failure(fn.__name__, order, record_as, error)
                raise
            if record_as != "never":
                await _record_result(fn.__name__, order, result, record_as)
            plain: dict[str, Any] = adapter.dump_python(result, mode="json")
            return plain

        run.__name__ = run.__qualname__ = fn.__name__
        run.__doc__ = fn.__doc__
        run.__annotations__ = {"item": dict, "return": dict}
        bp.activity_trigger(input_name="item")(run)
        return Activity(fn.__name__, hints["return"], record)

    return decorate


async def _record_failure(name: str, order: Order, record: Recording, error: Exception) -> None:
    """The engine retries; meanwhile the history shows the error."""
    words = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    attempts = order.attempt if record == "after" else None
    started = order.began_at
    await end_step(order.run.run_id, name, order.target, "running", attempts=attempts, started_at=started, error=words)


async def _record_result(name: str, order: Order, result: Any, record: Recording) -> None:
    if isinstance(result, Started):
        return
    if isinstance(result, Refused):
        end = StepEnd(status="failed", error=result.refusal.sentence)
    else:
        end = result.as_step() if hasattr(result, "as_step") else StepEnd()
    attempts = order.attempt if record == "after" else None
    await end_step(
        order.run.run_id,
        name,
        order.target,
        end.status,
        attempts=attempts,
        started_at=order.began_at,
        error=end.error,
        detail=end.detail,
    )
