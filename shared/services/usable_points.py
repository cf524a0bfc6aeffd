"""The recovery points that a failover of a plan can use."""

from __future__ import annotations

from shared.azure.recovery_points import recovery_points
from shared.models.operations import PointInTime
from shared.models.plan import RecoveryPlan
from shared.store.runs import keeps_its_point


async def usable_points(plan: RecoveryPlan) -> list[PointInTime]:
    """The recovery points that a failover of this plan can use, newest first: complete sets that no run will delete."""
    found = await recovery_points(plan.recovery.resource_group, plan.name)
    points = [point for point in found if plan.disk_labels <= point.snapshots.keys()]
    return [p for p in points if not p.run_id or await keeps_its_point(p.run_id)]
