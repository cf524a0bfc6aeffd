"""Later changes of the history are detected."""

from __future__ import annotations

import asyncio
from typing import Any

from lab.audit import journal_intact, secrets_written
from lab.options import LabOptions
from lab.site.world import SQL_PASSWORD
from lab.twin import Lab
from tests.plans import CONTOSO, contoso


async def an_aborted_drill(lab: Lab) -> dict[str, Any]:
    status, run = await lab.call("POST", "plans/contoso/drill", {"reason": "to have a history"})
    assert status == 202, run
    await lab.call("POST", f"runs/{run['run_id']}/abort", {})
    async with asyncio.timeout(60):
        while True:
            _, found = await lab.call("GET", f"runs/{run['run_id']}")
            if found.get("document"):
                return found
            await lab.clock.until(lab.clock.now + 5)


async def change(lab: Lab, run: dict[str, Any], table: str) -> None:
    async with lab.tables() as service:
        client = service.get_table_client(table)
        (row,) = [e async for e in client.list_entities() if run["run_id"] in (e.get("run_id"), e["RowKey"])]
        key = {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"]}
        forged = {"reason": "nothing to see here"}
        if table == "ColdsiteDocuments":
            forged = {"part00": bytes(row["part00"]).replace(b"aborted", b"success")}
        await client.update_entity(key | forged)


async def intact_after_changing(table: str) -> tuple[bool, bool]:
    async with Lab(contoso(), CONTOSO, LabOptions(speed=100)) as lab:
        run = await an_aborted_drill(lab)
        before = await journal_intact(lab)
        await change(lab, run, table)
        return before, await journal_intact(lab)


def test_a_run_that_was_changed_after_its_end_shows() -> None:
    assert asyncio.run(intact_after_changing("ColdsiteRuns")) == (True, False)


def test_a_document_that_was_changed_shows() -> None:
    assert asyncio.run(intact_after_changing("ColdsiteDocuments")) == (True, False)


async def told_with(secret: str) -> list[str]:
    async with Lab(contoso(), CONTOSO, LabOptions(speed=100)) as lab:
        clean = await secrets_written(lab, "{}")
        assert clean == []
        with (lab.folder / "worker.log").open("a") as log:
            log.write(f"a token {lab.identity.webhook_token()}\n")
        await lab.call("POST", "plans/contoso/pause", {"for": "0s", "reason": f"the password is {secret}"})
        return await secrets_written(lab, "{}")


def test_a_secret_that_is_written_down_is_found() -> None:
    """Otherwise the search at the end of every scenario would prove nothing."""
    assert asyncio.run(told_with(SQL_PASSWORD)) == [
        "SQL Server's password was written to the history",
        "a token was written to worker.log",
    ]
