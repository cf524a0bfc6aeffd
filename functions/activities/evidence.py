"""The steps that check the primary site and maintenance."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import azure.durable_functions as df

from functions.activities.base import activity
from shared.models.base import Strict
from shared.models.errors import ColdsiteError
from shared.models.evidence import Round
from shared.models.orders import EvidenceOrder
from shared.models.plan import MaintenanceWindow
from shared.models.steps import Order, StepEnd
from shared.policy.maintenance import Maintenance, maintenance
from shared.probes.evidence import gather
from shared.store import site_state

bp = df.Blueprint()


@activity(bp, "after")
async def gather_evidence(order: EvidenceOrder) -> Round:
    """One round: every signal asked once, in parallel. The result is stored for the plan's status."""
    seen = await gather(order.sources)
    with contextlib.suppress(ColdsiteError):
        await site_state.note_look(order.run.plan, seen, order.sources.detection.quorum)
    return seen


class MaintenanceOrder(Order):
    windows: list[MaintenanceWindow]


class MaintenanceFound(Strict):
    maintenance: Maintenance | None

    def as_step(self) -> StepEnd:
        return StepEnd(detail={"because": self.maintenance.because} if self.maintenance else None)


@activity(bp, "after")
async def check_maintenance(order: MaintenanceOrder) -> MaintenanceFound:
    """Whether maintenance is in effect, during which Coldsite starts no failover by itself."""
    state = await site_state.read_state(order.run.plan)
    found = maintenance(order.windows, state.paused_until, state.pause_reason, datetime.now(UTC))
    return MaintenanceFound(maintenance=found)
