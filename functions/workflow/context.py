"""An orchestrator's tools: typed activities, waits that an abort may end, and operations watched by timers.

Rules (engine-level, see docs/decisions/0001): one waiter per event name, kept until it is used up, since the loser of a
``when_any`` would swallow the next event; time only from the context; no wait on an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask import task

from functions.activities.base import Activity
from functions.activities.machines import CheckOrder, Watched, check_operation
from functions.activities.notify import notify
from functions.activities.run_record import Recorded, RecordOrder, record_step
from functions.workflow.endings import EndRun, NeedsOperator
from shared.models import ids
from shared.models.base import Strict
from shared.models.operations import OperationState, Refused, Started
from shared.models.orders import Message, NotifyOrder
from shared.models.plan import Notification, NotifyOn, RecoveryTerms
from shared.models.runs import CutoverState, Outcome, Phase
from shared.models.steps import Order, RunRef

type Doing[T] = Generator[task.Task[Any], Any, T]
"""A part of an orchestrator that yields durable tasks and returns a T."""


class RunContext:
    """One orchestration at work: its waits, its activities, its row and its notifications."""

    def __init__(self, ctx: task.OrchestrationContext, run: RunRef, recovery: RecoveryTerms) -> None:
        self.ctx = ctx
        self.run = run
        self.recovery = recovery
        self.kind = "run"
        """The kind of run in notifications: failover, drill."""
        self.notice = ""
        """The start of every question, where waiting has a cost."""
        self.takes_aborts = True
        """False before the run holds its plan, and once its end has begun."""
        self.cutover = CutoverState.NOT_STARTED
        self.after_hold = recovery.after_hold
        """The default when no answer comes within the plan's deadline."""
        self._deadline: tuple[task.Task[Any], str] | None = None
        self._lifts = ""
        """The event that lifts the deadline."""
        self._waiters: dict[str, task.Task[Any]] = {}
        self._background: list[task.Task[Any]] = []
        self._last_record: task.Task[Any] | None = None
        self._records = 0
        self._facts: list[task.Task[Any]] = []
        self._messages: list[task.Task[Any]] = []
        self._notifications = 0
        self.unwritten = 0
        """How many facts could not be recorded despite every retry."""
        self.last_question: str | None = None
        self.asked = ""
        """The newest question, and when it was asked first: one that returns unchanged is not new."""
        self.asked_at = self.now
        self.holds = 0
        """How many questions this run has asked; an answer carries the number of its question."""

    @property
    def now(self) -> datetime:
        """The orchestration's time. The engine gives naive UTC."""
        return self.ctx.current_utc_datetime.replace(tzinfo=UTC)

    @property
    def abortable(self) -> bool:
        """Whether an abort ends the run now."""
        return self.takes_aborts and not self.cutover.is_committed

    # Waiting

    def event(self, name: str) -> task.Task[Any]:
        """The one waiter for an event; a new one is made only after the last was used up by ``take``."""
        if name not in self._waiters:
            self._waiters[name] = self.ctx.wait_for_external_event(name)
        return self._waiters[name]

    def take(self, name: str) -> Any:
        """The payload of an event that has arrived, which frees its name for the next."""
        return self._waiters.pop(name).get_result()

    def first(self, *tasks: task.Task[Any]) -> Doing[task.Task[Any]]:
        """Waits for the first of several tasks; an abort and a deadline take precedence."""
        while True:
            winner: task.Task[Any] = yield task.when_any([*self._interrupts, *tasks])
            self._check_abort(winner)
            if not self._is_lifted(winner):
                break
        self._check_deadline(winner)
        return winner

    def within[T](self, limit: timedelta | None, late: str, part: Doing[T], lifted_by: str = "") -> Doing[T]:
        """Runs a part that must end in time, whatever it waits for. Raises ``NeedsOperator(late)`` when it does not.
        The event ``lifted_by`` takes the deadline away.

        An activity in progress then is not awaited, so it must know the deadline too.
        """
        if limit is None:
            return (yield from part)
        self._deadline, self._lifts = (self.ctx.create_timer(limit), late), lifted_by
        if lifted_by:
            self.event(lifted_by)
        try:
            return (yield from part)
        finally:
            self._deadline = None

    @property
    def _interrupts(self) -> list[task.Task[Any]]:
        abort = [self.event(ids.EVENT_ABORT)] if self.abortable else []
        return abort + ([self._deadline[0]] if self._deadline else [])

    def _is_lifted(self, winner: task.Task[Any]) -> bool:
        """Whether a deadline has passed that no longer applies; it is forgotten."""
        passed = self._deadline is not None and winner is self._deadline[0]
        if not (passed and self._lifts and self.event(self._lifts).is_complete):
            return False
        self._deadline = None
        return True

    def _check_deadline(self, winner: task.Task[Any]) -> None:
        if self._deadline and winner is self._deadline[0]:
            raise NeedsOperator(self._deadline[1])

    def raise_abort(self) -> None:
        """Ends the run now where an abort has arrived: what follows would only be undone."""
        if self.abortable and self.event(ids.EVENT_ABORT).is_complete:
            self._check_abort(self.event(ids.EVENT_ABORT))

    def _check_abort(self, winner: task.Task[Any]) -> None:
        if self.abortable and winner is self.event(ids.EVENT_ABORT):
            payload = winner.get_result() or {}
            raise EndRun.aborted(str(payload.get("by", "an operator")), preempted=bool(payload.get("preempted")))

    def _acted(self, scheduled: Sequence[task.Task[Any]]) -> Doing[None]:
        """Waits for activities. An abort waits for them too: what is still being ordered cannot be deleted. A deadline
        does not wait.
        """
        everything = task.when_all(list(scheduled))
        while True:
            winner: task.Task[Any] = yield task.when_any([*self._interrupts, everything])
            if not self._is_lifted(winner):
                break
        self._check_deadline(winner)
        if winner is not everything:
            yield task.when_any([everything, self._deadline[0]] if self._deadline else [everything])
        self._check_abort(winner)

    def sleep(self, duration: timedelta) -> Doing[None]:
        yield from self.first(self.ctx.create_timer(duration))

    def do[O: Order, R](self, activity: Activity[O, R], order: O) -> Doing[R]:
        """Runs one activity. Its error, after every retry, is raised as durabletask's ``TaskFailedError``."""
        scheduled = activity.schedule(self.ctx, order, self.recovery.retry_after)
        yield from self._acted([scheduled])
        return activity.read(scheduled.get_result())

    def do_all[O: Order, R](self, activity: Activity[O, R], orders: Sequence[O]) -> Doing[list[R]]:
        """Runs one activity on several orders in parallel."""
        if not orders:
            return []
        scheduled: list[task.Task[Any]] = [
            activity.schedule(self.ctx, order, self.recovery.retry_after) for order in orders
        ]
        yield from self._acted(scheduled)
        return [activity.read(done.get_result()) for done in scheduled]

    def poll[O: Order, R](
        self,
        activity: Activity[O, R],
        order: O,
        done: Callable[[R], bool],
        *,
        every: timedelta | Callable[[timedelta], timedelta],
        limit: timedelta,
    ) -> Doing[R]:
        """Runs an activity again and again until its result is ``done`` or ``limit`` has passed, and returns the last
        result. ``every`` is the pause, or takes the time since the first attempt and returns it. All attempts of an
        activity that only looks share one row of the history.
        """
        began, attempt = self.now, 1
        while True:
            update = {"attempt": attempt, "began_at": began} if activity.only_looks else {"attempt": attempt}
            result = yield from self.do(activity, order.model_copy(update=update))
            elapsed = self.now - began
            if done(result) or elapsed > limit:
                return result
            yield from self.sleep(every(elapsed) if callable(every) else every)
            attempt += 1

    def in_background[O: Order, R](self, activity: Activity[O, R], order: O) -> None:
        """Starts an activity in the background; ``settle`` waits for it."""
        self._background.append(activity.schedule(self.ctx, order, self.recovery.retry_after))

    def settle(self) -> Doing[None]:
        """Waits for all background activities but messages; their failures stop nothing, and are counted."""
        for work in self._background:
            if not work.is_complete:
                yield task.when_any([work])
            self.unwritten += work.is_failed and work in self._facts
        self._background.clear()

    def settle_messages(self) -> Doing[None]:
        """Waits until every message was delivered, or given up after many attempts."""
        for message in self._messages:
            if not message.is_complete:
                yield task.when_any([message])
        self._messages.clear()

    # Operations of Azure

    def finish(self, watched: list[Watched], expected: timedelta, target: str) -> Doing[list[OperationState]]:
        """Watches operations until all are over: first when expected, then after max(2 s, 3 % of the elapsed).

        An operation that exceeds ``operation_timeout`` is returned as still running, for the caller to judge.
        """
        began = self.now
        states: dict[int, OperationState] = {}
        # An operation that existed already may be long done, so it is checked soon.
        wait, look = (expected if all(w.operation.url for w in watched) else self.recovery.poll_at_least), 0
        while len(states) < len(watched):
            yield from self.sleep(wait)
            look += 1
            open_ones = [i for i in range(len(watched)) if i not in states]
            checked = yield from self.do(
                check_operation,
                CheckOrder(
                    run=self.run,
                    target=target,
                    attempt=look,
                    began_at=began,
                    watched=[watched[i] for i in open_ones],
                ),
            )
            elapsed = self.now - began
            late = elapsed > self.recovery.operation_timeout
            looked = zip(open_ones, checked.states, strict=True)
            states |= {i: state for i, state in looked if state.state != "running" or late}
            wait = max(self.recovery.poll_at_least, elapsed * 0.03)
        return [states[i] for i in range(len(watched))]

    def pause_before_retry(self, refused: Refused) -> timedelta:
        """How long to wait before the same order again: as Azure asked, but at most a sixth of the time-out."""
        cap = self.recovery.operation_timeout / 6
        asked = refused.refusal.retry_after
        return min(cap, timedelta(seconds=asked) if asked else self.recovery.retry_after * 5)

    def insist[O: Order, R](
        self, activity: Activity[O, R], order: O, *, until: datetime | None = None, in_conflict: timedelta | None = None
    ) -> Doing[R]:
        """Retries an order while Azure says "later" (throttled, in conflict), within the operation's time-out and not
        after ``until``. A conflict that lasts for ``in_conflict`` is returned: it does not pass by itself.
        """
        began, attempt = self.now, order.attempt
        while True:
            result = yield from self.do(activity, order.model_copy(update={"attempt": attempt}))
            if not isinstance(result, Refused) or not result.is_for_later:
                return result
            wait = self.pause_before_retry(result)
            if result.refusal.kind == "conflict" and in_conflict and self.now - began > in_conflict:
                return result
            if self.now - began > self.recovery.operation_timeout or (until and self.now + wait > until):
                return result
            yield from self.sleep(wait)
            attempt += 1

    def insist_all[O](
        self, step: Callable[[dict[str, O], int], Doing[dict[str, Started | Refused]]], orders: dict[str, O]
    ) -> Doing[dict[str, Started | Refused]]:
        """Gives several orders side by side, and again those that Azure puts off, within the operation's time-out.
        Returns the last answer to each; a refusal for good ends the attempts.
        """
        began, attempt = self.now, 1
        answers: dict[str, Started | Refused] = {}
        pending = orders
        while True:
            answers |= yield from step(pending, attempt)
            refused = {key: answer for key, answer in answers.items() if isinstance(answer, Refused)}
            late = self.now - began > self.recovery.operation_timeout
            if not refused or late or not all(answer.is_for_later for answer in refused.values()):
                return answers
            yield from self.sleep(max(self.pause_before_retry(answer) for answer in refused.values()))
            pending = {key: orders[key] for key in refused}
            attempt += 1

    # Telling

    def record(self, **changes: Any) -> Doing[None]:
        """Writes changes of the run's row in the background, in order."""
        if self._last_record is not None and not self._last_record.is_complete:
            yield task.when_any([self._last_record])
        self._records += 1
        order = RecordOrder(run=self.run, number=self._records, changes=plain(changes))
        self.in_background(record_step, order)
        self._last_record = self._background[-1]
        self._facts.append(self._last_record)

    def record_now(self, **changes: Any) -> Doing[Recorded]:
        """Writes changes of the run's row and waits until they are stored, however long the storage is unavailable: a
        question must be answerable. An abort in the row takes effect, also when its event was lost.
        """
        began = self.now
        while True:
            yield from self.record(**changes)
            written = self._last_record
            assert written is not None
            if not written.is_complete:
                yield task.when_any([written])
            if not written.is_failed:
                recorded = record_step.read(written.get_result())
                if self.abortable and recorded.abort_asked_by:
                    raise EndRun.aborted(recorded.abort_asked_by)
                return recorded
            self._background.remove(written)  # It is written again, so it is not lost.
            yield from self.sleep(self.pause_since(began))

    def pause_since(self, began: datetime) -> timedelta:
        """The wait before the next attempt of what must succeed. It grows, since all of a run's history is read at
        every step, and an outage of the storage may last for hours.
        """
        return max(self.recovery.retry_after * 30, (self.now - began) * 0.2)

    def step_back(self, to: Phase = Phase.VERIFYING) -> Doing[None]:
        """Traffic did not move, so the run may be aborted again."""
        yield from self.record_now(phase=to, cutover=CutoverState.STEPPED_BACK)
        self.cutover = CutoverState.STEPPED_BACK

    def begin_cutover(self, phase: Phase = Phase.CUTTING_OVER) -> Doing[None]:
        """Records the beginning of the cutover; from here it only goes forward. The run's row decides whether this or
        an abort came first, so that an accepted abort is always carried out.
        """
        recorded = yield from self.record_now(phase=phase)
        if recorded.ended or not recorded.cutover.is_committed:
            because = "The run has already ended on record; traffic is unchanged."
            raise EndRun(Outcome.FAILED, because, by="its own failure", clean_up=True)
        self.cutover = CutoverState.BEGUN

    def tell(self, to: list[Notification], on: NotifyOn, title: str, text: str, do: Sequence[str] = ()) -> None:
        """Notifies, in the background, every address that subscribes to this event. ``do`` are the commands that answer
        it; every message also says how to show the run.
        """
        self._notifications += 1
        commands = [f"coldsite {word} {self.run.run_id}" for word in (*do, "runs show")]
        body = f"{text}\n\nRun {self.run.run_id}. Commands: {'; '.join(commands)}"
        for setting in sorted({notification.url_setting for notification in to if on in notification.on}):
            target = f"{on}/{setting}/{self._notifications}"
            order = NotifyOrder(
                run=self.run, target=target, message=Message(url_setting=setting, title=title, text=body)
            )
            self._messages.append(notify.schedule(self.ctx, order, self.recovery.retry_after))


def plain(changes: dict[str, Any]) -> dict[str, Any]:
    """Models become JSON, so that only plain data enters the durable history."""
    return {
        name: value.model_dump(mode="json")
        if isinstance(value, Strict)
        else value.isoformat()
        if hasattr(value, "isoformat")
        else value
        for name, value in changes.items()
    }
