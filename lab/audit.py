"""Checks the app's output from outside, without the app's code: the history's seals are intact, and no secret leaks."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError

from lab.site import world
from lab.twin import Lab

_LATER = {"seal_run", "release_run", "notify", "thaw_replication", "claim_run"}
"""Steps that may be written after the seal."""


async def journal_intact(lab: Lab) -> bool:
    """Whether every ended run is sealed over its rows and over exactly one seal before it."""
    try:
        async with lab.tables() as service:
            runs = [dict(e) async for e in service.get_table_client("ColdsiteRuns").list_entities()]
            steps = [dict(e) async for e in service.get_table_client("ColdsiteSteps").list_entities()] if runs else []
    except ResourceNotFoundError:
        return True  # No table: no run yet.
    except AzureError:
        return False
    ended = [run for run in runs if run.get("outcome")]
    for run in ended:
        own = [s for s in steps if s["PartitionKey"] == run["run_id"] and s["name"] not in _LATER]
        if run.get("seal") != _digest([run, *own], run.get("sealed_over")):
            return False
    seals = {run["seal"] for run in ended}
    over = [run.get("sealed_over") for run in ended]
    return len(set(over)) == len(over) and all(before is None or before in seals for before in over)


def _digest(rows: list[dict[str, Any]], previous: str | None) -> str:
    told = []
    for row in sorted(rows, key=lambda r: (r["PartitionKey"], r["RowKey"])):
        kept = {name: value for name, value in row.items() if name not in ("seal", "sealed_over", "hindsight")}
        told.append({n: v.astimezone(UTC).isoformat() if isinstance(v, datetime) else v for n, v in kept.items()})
    text = json.dumps({"rows": told, "previous": previous}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


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
