"""The orchestrator after an accident in Azure: machines that serve customers are built again from a recovery point."""

from __future__ import annotations

from typing import Any

import azure.durable_functions as df
from durabletask import task

from functions.activities.machines import SetAsideOrder, set_aside
from functions.activities.probes import ProbeOrder, probe_workload
from functions.activities.run_record import Claim
from functions.stages import replica
from functions.stages.approval import ask_approval
from functions.stages.cleanup import delete, delete_built, pause_between_deletions
from functions.stages.cutover import verify_recovery_site
from functions.stages.disks import disk_orders, make_disks
from functions.stages.recover_workloads import WorkloadsRecovery
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import EndRun, NeedsOperator
from functions.workflow.lifecycle import run_lifecycle, seconds_between
from functions.workflow.questions import until_done
from shared.models.durations import spoken_moment
from shared.models.operations import PointInTime
from shared.models.orders import CleanUpOrder
from shared.models.plan import RecoveryPlan
from shared.models.runs import CutoverState, Outcome, Phase, RunInput

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def rebuild_in_azure(ctx: task.OrchestrationContext, data: dict[str, Any]) -> Doing[dict[str, Any]]:
    """Builds workloads again in Azure while customers are served there. Traffic is not touched.

    1. Claim the plan's lock; ask a second person where the plan wants four eyes.
    2. Find the recovery point: while away they are taken of the running machines. Make the disks.
    3. Probe the workloads again, unless a person named them: what is healthy by now is left alone.
    4. Delete the machines that are replaced, since their interfaces are needed. Their disks are kept: they hold what
       is newer than the recovery point.
    5. Record that customers may be on what follows, so that it is never deleted as a leftover.
    6. Recover the workloads, and verify the site as a whole at its public address.
    7. Measure, write the document, notify, release the plan. The replaced disks go after a failback, with the rest.

    The machines take writes as soon as they run, since customers are routed to them all the time; the loss is counted
    from the recovery point. An abort after 5 keeps what was built.
    """
    run = RunInput.model_validate(data)
    work = RunContext(ctx, run.run, run.plan.recovery)
    story = _RebuildInAzure(work, run)
    return (yield from run_lifecycle(work, run, story.body, story.clear))


class _RebuildInAzure:
    def __init__(self, work: RunContext, run: RunInput) -> None:
        assert run.replacement is not None
        self._work = work
        self._run = run
        self._plan: RecoveryPlan = run.plan
        self._replacement = run.replacement
        self._names = run.replacement.workloads
        self._rebuild: WorkloadsRecovery | None = None
        self._point: PointInTime | None = None
        self._attempts = 0
        self._deletes = False
        self._may_serve = False

    def body(self, claim: Claim) -> Doing[EndRun]:
        work, plan = self._work, self._plan
        work.kind = "rebuild"
        names = ", ".join(self._names)
        if plan.detection.approval.four_eyes:
            question = (
                f"{self._run.person} wants to replace {names} in Azure: the machines are deleted, their disks kept and "
                "new ones built from a recovery point, so that customers lose what is newer. The plan requires "
                "approval by a second person."
            )
            by = yield from ask_approval(work, plan, question, None, clean_up=False)
            yield from work.record_now(waiting_for=None, answers=[], waiting_until=None, approved_by=by)
        yield from work.record_now(phase=Phase.RECOVERING)
        point = yield from until_done(work, plan, Phase.RECOVERING, self._prepare)
        yield from until_done(work, plan, Phase.RECOVERING, self._leave_the_healthy)
        if not self._names:
            raise EndRun(
                Outcome.STOOD_DOWN,
                f"{names} answered again, so nothing was replaced.",
                by="its own check",
                clean_up=True,
            )
        yield from until_done(work, plan, Phase.RECOVERING, self._build)
        yield from work.record_now(phase=Phase.VERIFYING)
        yield from until_done(work, plan, Phase.VERIFYING, self._verify)
        names = ", ".join(self._names)
        served_at, data_from = work.now, point.holds_until or point.taken_at
        because = (
            f"{names} {'was' if len(self._names) == 1 else 'were'} built again in Azure from the data "
            f"of {spoken_moment(data_from)}. The disks of the replaced machines, with what is newer, are kept in "
            f"{plan.recovery.resource_group.rsplit('/', 1)[-1]}."
        )
        work.tell(plan.notify, "served", f"{plan.title}: built again in Azure", because)
        return EndRun(
            Outcome.SUCCEEDED,
            because,
            cutover=CutoverState.MOVED,
            recovery_time_actual=seconds_between(self._run.requested_at, served_at),
            recovered_until=data_from,
            recovery_point_actual=seconds_between(data_from, self._run.requested_at),
        )

    def clear(self, ending: EndRun) -> Doing[list[str]]:
        """Until the old machines are gone, what was made goes; after that all is kept: customers may be on it."""
        if self._rebuild:
            yield from self._rebuild.stop(ending.by)
        names = ", ".join(self._names)
        if self._may_serve:
            return [f"What was built of {names} is kept, since customers may be on it, and so are the replaced disks"]
        left = yield from delete_built(self._work, self._plan, keep_snapshots=True)
        gone = f"The machines of {names} may have been deleted; their disks are kept; start the failover again"
        return [*left, *([gone] if self._deletes else [])]

    def _prepare(self) -> Doing[PointInTime]:
        """The recovery point, and disks of it, while the old machines still run. Raises ``NeedsOperator``."""
        work, plan = self._work, self._plan
        if self._point is None:
            self._attempts += 1
            self._point = yield from replica.recovery_point(work, plan, self._run.recovery_point, None, self._attempts)
        orders = [
            order
            for name in self._replacement.workloads
            for order in disk_orders(
                work.run,
                plan.recovery.terms,
                name,
                plan.recovery.workloads[name],
                self._point.of_workload(name),
                next(iter(plan.recovery.workloads[name].zones), None),
            )
        ]
        for disk, refusal in (yield from make_disks(work, orders, "disks")).items():
            raise NeedsOperator(f"Disk {disk} could not be created. {refusal.sentence} Fix this, then `retry`.")
        return self._point

    def _leave_the_healthy(self) -> Doing[None]:
        """Of the workloads that were chosen because they failed, those that answer by now are left alone."""
        if self._replacement.named:
            return
        workloads = self._plan.recovery.workloads
        looks = yield from self._work.do_all(
            probe_workload,
            [
                ProbeOrder(
                    run=self._work.run,
                    target=name,
                    probes=workloads[name].probes,
                    address=workloads[name].address.failover,
                )
                for name in self._replacement.workloads
            ],
        )
        seen = zip(self._replacement.workloads, looks, strict=True)
        self._names = [name for name, probed in seen if not probed.healthy]
        for name in self._replacement.workloads:
            if name not in self._names:
                yield from delete(self._work, self._only(name), first=self._work.recovery.expected.disk)
        yield from self._work.record_now(builds_again=self._names or self._replacement.workloads)

    def _only(self, name: str) -> CleanUpOrder:
        """What this run has made of one workload."""
        group = self._plan.recovery.resource_group
        return CleanUpOrder(run=self._work.run, target=name, group=group, keep_snapshots=True, workload=name)

    def _build(self) -> Doing[None]:
        """The old machines first; only once they are gone is what follows recorded as what customers may be on."""
        assert self._point is not None
        self._deletes = True
        yield from self._set_machines_aside()
        if not self._may_serve:
            yield from self._work.record_now(may_serve=True)
            self._may_serve = True
        self._rebuild = self._rebuild or WorkloadsRecovery(self._work, self._plan, "failover", only=self._names)
        yield from self._rebuild.recover(self._point, disks_ready=True)

    def _verify(self) -> Doing[None]:
        try:
            yield from verify_recovery_site(self._work, self._plan)
        except NeedsOperator as problem:
            raise NeedsOperator(
                f"{problem} If another machine fails there: `abort`, which keeps what was built, and start a failover "
                "that names it with --workload."
            ) from None

    def _set_machines_aside(self) -> Doing[None]:
        gone = yield from self._work.poll(
            set_aside,
            SetAsideOrder(
                run=self._work.run,
                target="machines",
                group=self._plan.recovery.resource_group,
                machines=[self._replacement.machines[name] for name in self._names],
            ),
            done=lambda seen: not seen.left,
            every=lambda elapsed: pause_between_deletions(self._work.recovery, elapsed),
            limit=self._work.recovery.operation_timeout,
        )
        if gone.left:
            raise NeedsOperator(
                f"{', '.join(gone.left)} could not be deleted{gone.why}. Delete the machine in the portal and keep its "
                "disks, then `retry`."
            )
