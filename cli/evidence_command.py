"""`coldsite evidence`: what an insurer or an auditor asks of a plan."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer
from rich.table import Table
from rich.text import Text

from cli.options import Key, Plan, Url, api_of, out, write_page
from cli.output import Format, Output, Printing, emit
from shared.models.durations import spoken

evidence_app = typer.Typer()
_COLUMNS = ["run_id", "kind", "began", "ended", "outcome", "started_by"]
_COLUMNS += ["recovery_time", "recovery_point", "met", "sha256"]


@evidence_app.command(cls=Printing)
def evidence(
    plan: Plan,
    since: Annotated[str | None, typer.Option("--from", help="The first day, for example 2027-01-01.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="The last day; by default today.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page that prints to this file.")] = None,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Write the runs to this file, durations in seconds.")
    ] = None,
    output: Output = Format.TABLE,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show the drills and failovers of PLAN in a period (by default a year) against its objectives."""
    api = api_of(url, key)
    asked = urlencode({name: day for name, day in (("from", since), ("to", until)) if day})
    path = f"plans/{quote(plan, safe='')}/evidence" + (f"?{asked}" if asked else "")
    if html:
        write_page(api, path, html)
        return
    found = api.get(path)
    if table:
        with table.open("w", newline="", encoding="utf-8") as file:
            rows = csv.DictWriter(file, _COLUMNS, extrasaction="ignore")
            rows.writeheader()
            rows.writerows(found["runs"])
        out.print(f"Written to {table}.", markup=False)
    elif output is not Format.TABLE:
        emit(found, output)
    else:
        _show(found, api.target.speed)


def _show(found: dict[str, Any], factor: float) -> None:
    out.print(Text(f"{found['title']}: {found['since'][:10]} to {found['until'][:10]}", style="bold"))
    out.print(
        f"{found['drills']} drills, of which {found['drills_succeeded']} succeeded; {found['failovers']} failovers.",
        markup=False,
    )
    out.print(f"History: {found['history']}.", markup=False)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("run", "kind", "result", "recovery time", "recovery point", "objectives"):
        table.add_column(column, overflow="fold")
    for row in found["runs"]:
        measured = [row["recovery_time"], row["recovery_point"]]
        times = ["" if value is None else spoken(value * factor) for value in measured]
        met = {None: "", True: "met", False: "MISSED"}[row["met"]]
        table.add_row(row["run_id"], row["kind"], row["outcome"].replace("_", " "), *times, met)
    out.print(table)
