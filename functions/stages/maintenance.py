"""Maintenance in a failover: an automatic run waits for its end."""

from __future__ import annotations

from functions.activities.evidence import MaintenanceOrder, check_maintenance
from functions.stages.failover_state import FailoverState
from functions.workflow.context import Doing, RunContext
from functions.workflow.lifecycle import insist_on
from shared.models.plan import RecoveryPlan
from shared.policy.maintenance import Maintenance


def maintenance_now(
    work: RunContext, plan: RecoveryPlan, state: FailoverState, moment: str
) -> Doing[Maintenance | None]:
    """The maintenance in effect at this ``moment`` of the run; None also once a person has decided."""
    if not state.by_itself:
        return None
    order = MaintenanceOrder(run=work.run, target=moment, windows=plan.pause)
    return (yield from insist_on(work, check_maintenance, order)).maintenance
