"""Whether a planned failover can keep its promise of no data loss."""

from __future__ import annotations

from shared.models.looks import ReplicaLook
from shared.models.plan import RecoveryPlan


def planned_limitation(plan: RecoveryPlan, recovery_point: str = "latest") -> str | None:
    """Why a planned failover of this plan is refused, in a sentence with the key to set; None when it is possible.

    It stops the source's writes, waits until the replica holds all of them, and compares the newest change on both
    sides before customers move, so the plan must say how to do each.
    """
    if recovery_point != "latest":
        return "A planned failover loses nothing, so it needs the latest recovery point. An older one is unplanned."
    missing = []
    if plan.fence is None:
        missing.append("fence (a hook that stops the source's writes)")
    if not plan.replication.script_texts:
        missing.append("replication.scripts (status.ps1 says when everything has arrived)")
    at_home = {probe.database.lower() for probe in plan.commit_probes}
    if not at_home:
        missing.append("recovery_point_query of a sql probe, with a sql signal for the same database at the primary")
    unseen = sorted(plan.measured_databases - at_home) if at_home else []
    missing += [f"a sql signal that asks the primary's database {name}" for name in unseen]
    if not missing:
        return None
    return (
        f"A planned failover loses nothing, which this plan cannot guarantee: it lacks {'; '.join(missing)}. To "
        "accept a loss, start an unplanned failover and acknowledge that the primary is serving."
    )


def never_drains(replica: ReplicaLook | None) -> str | None:
    """Why a planned failover is refused now: its writes would stay stopped while nothing arrives in Azure."""
    if replica is None or not replica.problem:
        return None
    return (
        f"Replication is unhealthy ({replica.problem.rstrip('.')}), so a planned failover would stop the primary's "
        "writes and wait in vain. Fix replication first."
    )
