"""Stopping the source's writes and resuming them. Parts of the failover's orchestrator."""

from __future__ import annotations

from datetime import datetime

from durabletask import task

from functions.activities.probes import ProbeOrder, probe_workload
from functions.activities.source import FenceOrder, HomeOrder, fence_source, read_home_commit
from functions.stages import replica
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import NeedsOperator, reason
from shared.models.durations import spoken_moment
from shared.models.hooks import Fence
from shared.models.plan import RecoveryPlan
from shared.models.replica import ReplicaState
from shared.models.runs import RunInput

_TRIES_TO_RESUME = 3


def stop(work: RunContext, fence: Fence, attempt: int) -> Doing[None]:
    """Stops the source's writes if it can be reached: in the background, unless the plan requires it.

    Raises ``NeedsOperator`` when it is required and fails.
    """
    order = FenceOrder(run=work.run, target="primary", attempt=attempt, fence=fence)
    if not fence.required:
        work.in_background(fence_source, order)
        return
    fenced = yield from work.do(fence_source, order)
    if not fenced.done:
        raise NeedsOperator(f"The source could not be fenced: {fenced.detail}. Stop its writes by hand, then `retry`.")


def resume_or_say(work: RunContext, plan: RecoveryPlan) -> Doing[str | None]:
    """Resumes the source's writes, since customers stay there; returns why when that fails."""
    if plan.fence is None:
        return None
    yield from work.settle()  # A stop in progress must not come after the resume.
    message = "it did not answer"
    for attempt in range(1, _TRIES_TO_RESUME + 1):
        order = FenceOrder(run=work.run, target="primary/resume", attempt=attempt, fence=plan.fence, action="resume")
        try:
            resumed = yield from work.do(fence_source, order)
        except task.TaskFailedError as error:
            return f"The source's writes could not be resumed: {reason(error)}"
        if resumed.done:
            return None
        message = resumed.detail
        if attempt < _TRIES_TO_RESUME:
            yield from work.sleep(work.recovery.retry_after * 5)
    return f"The source's writes may still be stopped ({message}); Coldsite keeps retrying to resume them"


class PlannedStop:
    """The planned part of a failover: the source's writes end first, and every one of them is moved."""

    def __init__(self, work: RunContext, run: RunInput) -> None:
        self._work = work
        self._plan = run.plan
        self._attempt = 0
        self._last: dict[str, datetime] = {}
        """The newest commit of each of the primary's databases, read after its writes were stopped."""

    def stop_writes(self) -> Doing[None]:
        """Stops the source's writes, and waits until the replica holds all of them. Raises ``NeedsOperator``."""
        work, fence = self._work, self._plan.fence
        assert fence is not None, "a planned failover without a fence is refused before it starts"
        self._attempt += 1
        if self._attempt == 1:
            yield from self._could_succeed()
        order = FenceOrder(run=work.run, target="primary", attempt=self._attempt, fence=fence)
        stopped = yield from work.do(fence_source, order)
        if not stopped.done:
            raise NeedsOperator(
                f"The source's writes could not be stopped: {stopped.detail}. A planned failover must not lose data, "
                "so traffic is unchanged. Fix the hook, then `retry`; or `abort`, and start an unplanned failover."
            )
        work.notice = "The primary's writes were ordered to stop; `abort` resumes them. "
        self._last = yield from self._home_commits()
        if missing := self._plan.measured_databases - self._last.keys():
            raise NeedsOperator(
                f"The primary's newest change could not be read ({', '.join(sorted(missing))}), so a loss cannot be "
                "ruled out. Check the path to its database, then `retry`; or `abort`, and start an unplanned "
                "failover."
            )
        yield from self._drain(self.newest)

    @property
    def newest(self) -> datetime:
        """The newest of the primary's last commits."""
        return max(self._last.values())

    def _could_succeed(self) -> Doing[None]:
        """Fails early where the stop is already known to be pointless. Raises ``NeedsOperator``."""
        home = yield from self._home_commits()
        if missing := self._plan.measured_databases - home.keys():
            raise NeedsOperator(
                f"The primary's newest change cannot be read ({', '.join(sorted(missing))}), so its writes were not "
                "stopped. Check the path to its database, then `retry`; or `abort`, and start an unplanned failover."
            )
        state = yield from replica.look(self._work, self._plan)
        if not state.usable:
            raise NeedsOperator(
                f"The replica is not usable: {state.trouble}. The primary's writes were not stopped. Check "
                "replication, then `retry`; or `abort`, and start an unplanned failover."
            )

    def _drain(self, newest: datetime) -> Doing[None]:
        work, began, look = self._work, self._work.now, 0
        while True:
            look += 1
            state = yield from replica.look(work, self._plan, look)
            if _holds(state, newest):
                return
            if work.now - began > self._plan.recovery.operation_timeout:
                queued = "an unknown number of" if state.queue_bytes is None else state.queue_bytes
                held = spoken_moment(state.replicated_until) if state.replicated_until else "an unknown moment"
                raise NeedsOperator(
                    f"The replica does not hold everything: {queued} bytes are queued, it holds changes "
                    f"until {held}, and the primary has one from {spoken_moment(newest)}. Check replication, then "
                    "`retry`."
                )
            yield from work.sleep(self._plan.recovery.poll_at_least)

    def prove_nothing_is_lost(self) -> Doing[None]:
        """Each of the primary's databases answers, and its newest commit was recovered. Raises ``NeedsOperator`` when
        not: a planned failover verifies this, since a hook may report success and do nothing.
        """
        home = yield from self._home_commits()
        recovered = yield from self._recovered_commits()
        last = {name: max(home.get(name, at), at) for name, at in self._last.items()}
        if unmeasured := sorted(last.keys() - recovered.keys()):
            raise NeedsOperator(
                f"The newest change in Azure's database could not be measured ({', '.join(unmeasured)}), so a loss "
                "cannot be ruled out. See the step probe_workload, then `retry`; or `abort`, and start an unplanned "
                "failover."
            )
        for name, newest in sorted(last.items()):
            if newest > recovered[name]:
                raise NeedsOperator(
                    f"The primary's database {name} has a change from {spoken_moment(newest)}, and Azure's newest is "
                    f"from {spoken_moment(recovered[name])}: its writes did not stop, or the last of them had not "
                    "arrived. Traffic is unchanged, since a planned failover must not lose data. `abort`, and start "
                    "again."
                )
        if silent := sorted(last.keys() - home.keys()):
            raise NeedsOperator(
                f"The primary's database no longer answers ({', '.join(silent)}), so a later change cannot be "
                "ruled out. Fix the path to it, then `retry`; or `abort`, and start an unplanned failover."
            )

    def _home_commits(self) -> Doing[dict[str, datetime]]:
        order = HomeOrder(run=self._work.run, target="primary", probes=self._plan.commit_probes)
        return (yield from self._work.do(read_home_commit, order)).newest

    def _recovered_commits(self) -> Doing[dict[str, datetime]]:
        """Measures again: the first reads of a new disk are slow, and a failed measurement may succeed now."""
        found: dict[str, datetime] = {}
        for name, workload in self._plan.recovery.workloads.items():
            probes = [probe for probe in workload.probes if probe.sql and probe.sql.recovery_point_query]
            if probes:
                order = ProbeOrder(run=self._work.run, target=name, probes=probes, address=workload.address.failover)
                found |= (yield from self._work.do(probe_workload, order)).commits
        return found


def _holds(state: ReplicaState, newest: datetime) -> bool:
    """Whether the replica holds the source's newest change: nothing is queued, and its reported age agrees."""
    agrees = state.replicated_until is None or state.replicated_until >= newest
    return state.usable and state.queue_bytes == 0 and agrees
