"""When the latch is guarded: while no run acts on the sites."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.models.ids import new_run_id
from shared.models.site_state import SiteState
from shared.services.latch import sites_are_left_alone
from shared.store.runs import update_run
from tests.lab.app_side import AppSide, opened

PLAN = "latched"


def state(**facts: str) -> SiteState:
    return SiteState.model_validate({"plan": PLAN, "created_at": datetime.now(UTC)} | facts)


@pytest.mark.parametrize(("builds_again", "alone"), [([], False), (["sql"], True)])
def test_of_failovers_only_a_rebuild_leaves_the_sites_alone(app: AppSide, builds_again: list[str], alone: bool) -> None:
    async def story() -> bool:
        run = await opened(PLAN)
        await update_run(run.run_id, builds_again=builds_again)
        return await sites_are_left_alone(state(active_run=run.run_id, active_kind="failover"))

    assert app.run(story()) is alone


def test_a_run_without_a_row_yet_may_act_on_the_sites(app: AppSide) -> None:
    begun = state(active_run=new_run_id(PLAN, "failover", datetime.now(UTC)), active_kind="failover")
    assert not app.run(sites_are_left_alone(begun))


def test_without_a_run_the_sites_are_left_alone(app: AppSide) -> None:
    assert app.run(sites_are_left_alone(state()))
