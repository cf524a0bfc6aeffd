"""Checks the app's output from outside, without the app's code: no ended run was changed, and no secret leaks."""

from __future__ import annotations

import hashlib
import json

from azure.core.exceptions import AzureError, ResourceNotFoundError

from lab.site import world
from lab.twin import Lab


async def journal_intact(lab: Lab) -> bool:
    """Whether each ended run has one document, unchanged, in an unbroken chain, and its row says what it says."""
    try:
        async with lab.tables() as service:
            runs = [dict(e) async for e in service.get_table_client("ColdsiteRuns").list_entities()]
            ended = {str(run["run_id"]): run for run in runs if run.get("outcome")}
            rows = (
                [dict(e) async for e in service.get_table_client("ColdsiteDocuments").list_entities()] if ended else []
            )
    except ResourceNotFoundError:
        return not await _any_run(lab)  # No table: no run yet.
    except AzureError:
        return False
    heads = {row["PartitionKey"]: (row["number"], row["sha256"]) for row in rows if row["RowKey"] == "head"}
    chains: dict[str, tuple[int, str | None]] = dict.fromkeys(heads, (0, None))
    for row in sorted((row for row in rows if row["RowKey"] != "head"), key=lambda row: int(row["number"])):
        content = b"".join(bytes(row[name]) for name in sorted(row) if name.startswith("part"))
        document, run = json.loads(content), ended.pop(row["RowKey"], None)
        number, previous = chains[row["PartitionKey"]]
        digest = hashlib.sha256(content).hexdigest()
        same_chain = (row["number"], row["sha256"], document["previous"]) == (number + 1, digest, previous)
        if not same_chain or run is None or any(run[fact] != document["run"][fact] for fact in ("outcome", "reason")):
            return False
        chains[row["PartitionKey"]] = (number + 1, digest)
    return not ended and chains == heads


async def _any_run(lab: Lab) -> bool:
    """Whether the history has a run."""
    async with lab.tables() as service:
        try:
            return bool([e async for e in service.get_table_client("ColdsiteRuns").list_entities()])
        except ResourceNotFoundError:
            return False


async def secrets_written(lab: Lab, report: str) -> list[str]:
    """A sentence for every secret in a log, in the history, in a notification or in the report."""
    functions = lab.functions
    secrets = {
        "SQL Server's password": world.SQL_PASSWORD,
        "the address of notifications": lab.front.notify_secret,
        "the host's key": functions.function_key,
        "the master key": functions.master_key,
        **{f"the key of {name}": key for name, key in functions.keys.items()},
        "the identity's header": lab.identity.header,
        "a token": lab.identity.mark,
    }
    texts = {"the report": report, "the notifications": json.dumps(lab.front.notifications)}
    texts |= {path.name: path.read_text(errors="replace") for path in lab.folder.glob("*.log")}
    texts["the history"] = await _whole_history(lab)
    return [
        f"{what} was written to {where}"
        for what, secret in secrets.items()
        for where, text in texts.items()
        if secret in text
    ]


async def _whole_history(lab: Lab) -> str:
    """Every row of every table, as text. A storage that the scenario has stopped keeps its content."""
    if not lab.storage.running:
        return ""
    rows: list[str] = []
    async with lab.tables() as service:
        async for table in service.list_tables():
            rows += [str(dict(row)) async for row in service.get_table_client(table.name).list_entities()]
    return "\n".join(rows)
