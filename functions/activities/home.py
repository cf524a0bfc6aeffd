"""The steps of the way home: look at both sites, stop Azure's writes, the final copy, prove home, end the failback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df

from functions.activities.base import activity
from functions.activities.probes import ProbeOrder
from shared.models.acts import Called
from shared.models.base import Strict
from shared.models.home import HomeLook
from shared.models.operations import Refused, Started
from shared.models.orders import ActOrder
from shared.models.probes import HttpProbe, SqlProbe
from shared.models.runs import Phase, Serving
from shared.models.site_state import SiteState
from shared.models.steps import Order
from shared.probes.databases import look_at_both
from shared.probes.site import Probed, probe_site
from shared.services.hooks import carry_out
from shared.store import site_state
from shared.store.runs import read_run

bp = df.Blueprint()
_STOPPED = frozenset({Phase.STOPPING_WRITES, Phase.FINAL_SYNC, Phase.PROVING_HOME, Phase.CUTTING_BACK, Phase.WATCHING})


class HomeLookOrder(Order):
    """``home`` and ``azure`` measure the same databases at both sites, ``pages`` are home's."""

    home: list[SqlProbe]
    azure: list[SqlProbe]
    pages: list[HttpProbe] = []
    serving: Serving | None = None
    count_query: str | None = None


@activity(bp, "after")
async def look_home(order: HomeLookOrder) -> HomeLook:
    """Reads both sites' databases, home first."""
    return await look_at_both(order.home, order.azure, order.pages, order.serving, order.count_query)


@activity(bp, "around")
async def stop_writes(order: ActOrder) -> Called | Started | Refused:
    """Stops the writes in Azure (``stop``) or resumes them (``resume``), by the plan's hook or script.

    The run was recorded before (``note_home``), so that they are resumed when it is lost. Raises ``LostLockError`` for
    a run that no longer holds its plan.
    """
    if order.action == "stop" and (late := await _too_late(order, Phase.STOPPING_WRITES)):
        return late
    await site_state.check_lock(order.run)
    return await carry_out(order)


@activity(bp, "around")
async def final_sync(order: ActOrder) -> Called | Started | Refused:
    """Brings what is still missing home. Raises ``LostLockError`` for a run that no longer holds its plan."""
    await site_state.check_lock(order.run)
    return await _too_late(order, Phase.FINAL_SYNC) or await carry_out(order)


async def _too_late(order: ActOrder, phase: Phase) -> Called | None:
    """A late redelivery must not stop writes that have been resumed since."""
    if (await read_run(order.run.run_id)).phase is phase:
        return None
    return Called(done=False, detail="the run has gone on since this was ordered", reached=False)


@activity(bp, "after")
async def prove_home(order: ProbeOrder) -> Probed:
    """Probes home directly: its pages as a customer would, and its databases."""
    return await probe_site(order.probes, order.address)


class HomeNoteOrder(Order):
    """What has become of the way home: ``stopping`` Azure's writes are about to be stopped; ``resumed`` it takes them
    again; else customers are home for good, and what ``serving`` built may be deleted after ``retire_after``.
    """

    stopping: bool = False
    resumed: bool = False
    serving: Serving | None = None
    retire_after: timedelta | None = None


@activity(bp, "around")
async def note_home(order: HomeNoteOrder) -> Strict:
    """Stores the result in the site's state. Raises ``LostLockError`` for a run that no longer holds its plan."""
    now = datetime.now(UTC)
    if order.resumed and (await read_run(order.run.run_id)).phase in _STOPPED:
        return Strict()  # A redelivery after another stop.

    def change(before: SiteState) -> dict[str, Any]:
        if order.stopping or order.resumed:
            return {"writes_stopped_by": order.run.run_id if order.stopping else None}
        due = now + (order.retire_after or timedelta(0))
        retire = {"run_id": order.serving.run_id, "due": due.isoformat()} if order.serving else {}
        return site_state.came_home(before, now) | {"retire": retire}

    await site_state.change_as_by(order.run, change)
    return Strict()
