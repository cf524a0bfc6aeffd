"""Rows that a newer version wrote: after a roll-back, and while two versions run side by side."""

from __future__ import annotations

from typing import Any

from shared.models.runs import Phase, RecoveryRun
from shared.store import site_state
from shared.store.runs import update_run
from shared.store.tables import RUNS, STATE, table
from tests.lab.app_side import AppSide, opened

PLAN = "newer"


def test_a_state_of_a_newer_version_is_read_and_what_only_that_knows_is_kept(app: AppSide) -> None:
    async def story() -> tuple[site_state.SiteState, dict[str, Any]]:
        await site_state.change_state(PLAN, lambda _: {"pause_reason": "first"})
        rows = await table(STATE)
        row = {"PartitionKey": PLAN, "RowKey": "state"}
        await rows.upsert_entity(row | {"served_since": "noon", "colours": '["red"]'})
        state = await site_state.change_state(PLAN, lambda _: {"pause_reason": "second"})
        return state, dict(await rows.get_entity(PLAN, "state"))

    state, entity = app.run(story())
    assert state.pause_reason == "second"
    assert (entity["served_since"], entity["colours"], entity["pause_reason"]) == ("noon", '["red"]', "second")


def test_a_run_of_a_newer_version_is_read_and_what_only_that_knows_is_kept(app: AppSide) -> None:
    async def story() -> tuple[RecoveryRun, dict[str, Any]]:
        run = await opened(PLAN)
        rows = await table(RUNS)
        (entity,) = [e async for e in rows.query_entities("PartitionKey eq @plan", parameters={"plan": PLAN})]
        key = {"PartitionKey": PLAN, "RowKey": entity["RowKey"]}
        await rows.upsert_entity(key | {"colours": '["red"]'})
        changed = await update_run(run.run_id, phase=Phase.VERIFYING)
        return changed, dict(await rows.get_entity(PLAN, entity["RowKey"]))

    run, entity = app.run(story())
    assert run.phase is Phase.VERIFYING
    assert (entity["colours"], entity["phase"]) == ('["red"]', "verifying")
