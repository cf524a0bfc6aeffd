"""What a failover builds again while customers are served from Azure, or why it must not."""

from __future__ import annotations

import asyncio

from shared.azure.compute import machines_in
from shared.models.errors import RefusedError
from shared.models.plan import RecoveryPlan
from shared.models.runs import Replacement
from shared.models.site_state import SiteState
from shared.probes.site import probe_site
from shared.services.serving import serving_failover

_LOOKS = 3


async def replacement(plan: RecoveryPlan, state: SiteState, wanted: list[str]) -> Replacement:
    """The workloads to build again: those that were named, else those that fail their probes now and depend on no
    other that fails, or have no machine any more. Raises ``RefusedError`` where that is none, or where no run of
    Coldsite built the machines.
    """
    if unknown := sorted(set(wanted) - plan.recovery.workloads.keys()):
        raise RefusedError(
            f"The plan has no workload {', '.join(unknown)}. Its workloads: {', '.join(plan.recovery.workloads)}."
        )
    serving = await serving_failover(plan, state)
    if not serving.run_id:
        raise RefusedError(
            "Customers are served from Azure by machines that no run of Coldsite built, so it must not replace them."
        )
    names = list(plan.recovery.workloads)
    unwell = set() if wanted else await _unwell(plan)
    there = await machines_in(plan.recovery.resource_group)
    gone = {name for name in unwell if serving.machines[name].lower() not in there}
    causes = gone | {name for name in unwell if not unwell & plan.recovery.workloads[name].depends_on.keys()}
    chosen = [name for name in names if name in (wanted or causes)]
    if not chosen:
        raise RefusedError(
            f"The machines in Azure are healthy ({', '.join(names)}). To build one again all the same, name it: "
            f"`coldsite failover {plan.name} --workload {names[0]}`. The way home is `coldsite failback`."
        )
    return Replacement(workloads=chosen, named=bool(wanted), machines=serving.machines, of_run=serving.run_id)


async def _unwell(plan: RecoveryPlan) -> set[str]:
    """The workloads that fail their probes three times in a row: a restart must not cost a machine."""
    unwell = set(plan.recovery.workloads)
    for number in range(_LOOKS):
        if number and unwell:
            await asyncio.sleep(plan.recovery.probe.success_interval.total_seconds())
        asked = {name: plan.recovery.workloads[name] for name in sorted(unwell)}
        seen = await asyncio.gather(
            *(probe_site(workload.probes, workload.address.failover) for workload in asked.values())
        )
        unwell = {name for name, probed in zip(asked, seen, strict=True) if not probed.healthy}
    return unwell
