"""Resources in the recovery group of runs that ended without serving customers."""

from __future__ import annotations

from shared.azure import cleanup
from shared.models.errors import UnknownRunError
from shared.models.plan import RecoveryPlan
from shared.models.runs import RecoveryRun
from shared.models.site_state import SiteState
from shared.store.runs import read_run


def point_is_needed(run: RecoveryRun, state: SiteState) -> bool:
    """Whether an ended run's recovery point may still be the last one: not once customers are served from Azure."""
    return run.keeps_its_point and state.active_site != "recovery"


async def leftovers(plan: RecoveryPlan, state: SiteState) -> list[RecoveryRun]:
    """The runs that ended without serving and still have resources in the recovery group.

    A recovery point that a failed failover kept is not a leftover: it may be the last one.
    """
    found: list[RecoveryRun] = []
    standing = await cleanup.standing(plan.recovery.resource_group, plan.name)
    for run_id, kinds in sorted(standing.items()):
        try:
            run = await read_run(run_id)
        except UnknownRunError:
            continue
        if run.is_leftover and not (point_is_needed(run, state) and kinds == {"snapshots"}):
            found.append(run)
    return found
