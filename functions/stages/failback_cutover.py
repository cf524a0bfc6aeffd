"""The cutover in the other direction: customers move home. A part of the failback's orchestrator."""

from __future__ import annotations

from datetime import datetime

from functions.stages.cutover import TO_PRIMARY, Cutover
from functions.stages.home_check import HomeCheck
from functions.stages.write_stop import WriteStop
from functions.workflow.context import Doing, RunContext
from shared.models.plan import RecoveryPlan


class FailbackCutover(Cutover):
    """Moves customers home, once home is proven."""

    def __init__(self, work: RunContext, plan: RecoveryPlan, check: HomeCheck, stop: WriteStop) -> None:
        super().__init__(work, plan, TO_PRIMARY)
        self._check = check
        self._stop = stop

    @property
    def looked_at(self) -> datetime:
        return self._check.looked_at

    def verify(self, before: str = "") -> Doing[None]:
        """Probes home as it was proven before; once its endpoint is enabled, only its pages and databases."""
        yield from self._stop.verify(before, moved=bool(before))
