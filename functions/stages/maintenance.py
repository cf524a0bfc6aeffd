"""Maintenance in a failover: an automatic run waits for its end."""

from __future__ import annotations

from durabletask import task

from functions.activities.evidence import MaintenanceOrder, check_maintenance
from functions.stages.failover_state import FailoverState
from functions.workflow.context import Doing, RunContext
from shared.models.plan import RecoveryPlan
from shared.policy.maintenance import Maintenance


def maintenance_now(
    work: RunContext, plan: RecoveryPlan, state: FailoverState, moment: str
) -> Doing[Maintenance | None]:
    """The maintenance in effect at this ``moment`` of the run; None also once a person has decided."""
    if not state.by_itself:
        return None
    order = MaintenanceOrder(run=work.run, target=moment, windows=plan.pause)
    while True:
        try:
            return (yield from work.do(check_maintenance, order)).maintenance
        except task.TaskFailedError:
            yield from work.sleep(plan.recovery.retry_after * 30)
