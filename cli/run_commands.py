"""`coldsite runs`: the history, following a run, verifying that nothing was changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from cli import show
from cli.following import Run, find_run, follow
from cli.options import Key, Url, api_of, out, plan_names, write_page
from cli.output import Format, Output, Printing, emit

runs_app = typer.Typer(no_args_is_help=True, help="The history: failovers and drills, with their timelines.")


@runs_app.command("list", cls=Printing)
def list_runs(
    plan: Annotated[str | None, typer.Option(help="Only runs of this plan.", autocompletion=plan_names)] = None,
    kind: Annotated[str | None, typer.Option(help="failover, drill or failback.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    output: Output = Format.TABLE,
    url: Url = None,
    key: Key = None,
) -> None:
    """List runs, newest first."""
    api = api_of(url, key)
    query = f"runs?limit={limit}" + (f"&plan={quote(plan)}" if plan else "") + (f"&kind={quote(kind)}" if kind else "")
    runs = api.get(query)["runs"]
    if output is not Format.TABLE:
        emit(runs, output)
    elif runs:
        out.print(show.runs_table(runs, api.target.speed))
        if judged := show.hindsight(runs):
            out.print(judged)
    else:
        out.print("No runs on record yet.")


@runs_app.command("show", cls=Printing)
def show_run(run: Run = "", output: Output = Format.TABLE, url: Url = None, key: Key = None) -> None:
    """Show one run: the decision and its reason, the timeline, the measurements."""
    api = api_of(url, key)
    found = api.get(f"runs/{quote(find_run(api, run), safe='')}")
    if output is not Format.TABLE:
        emit(found, output)
    else:
        out.print(show.run_details(found, api.target.speed))


@runs_app.command("watch")
def watch_run(run: Run = "", url: Url = None, key: Key = None) -> None:
    """Follow a run until it ends or waits for an answer."""
    api = api_of(url, key)
    follow(api, find_run(api, run))


@runs_app.command("report", cls=Printing)
def report(
    run: Run = "",
    html: Annotated[Path | None, typer.Option(help="Write the report to this file, as a page that prints.")] = None,
    output: Output = Format.TABLE,
    url: Url = None,
    key: Key = None,
) -> None:
    """Report on one run: decision, timeline, objectives against measurements, who did what, what was left."""
    api = api_of(url, key)
    path = f"runs/{quote(find_run(api, run), safe='')}/report"
    if html:
        write_page(api, path, html)
        return
    found = api.get(path)
    if output is not Format.TABLE:
        emit(found, output)
    else:
        out.print(show.report_lines(found, api.target.speed))


@runs_app.command("verify", cls=Printing)
def verify(
    plan: Annotated[
        str | None, typer.Argument(help="Only this plan; without it, every plan.", autocompletion=plan_names)
    ] = None,
    output: Output = Format.TABLE,
    url: Url = None,
    key: Key = None,
) -> None:
    """Verify that no ended run was changed, left out or added. Status 1: something was."""
    api = api_of(url, key)
    plans = [plan] if plan else [item["name"] for item in api.get("plans")["plans"]]
    checks = [api.get(f"plans/{quote(name, safe='')}/history") for name in plans]
    if output is not Format.TABLE:
        emit(checks, output)
    else:
        for found in checks:
            out.print(show.history_lines(found))
    if any(found["problems"] for found in checks):
        raise typer.Exit(1)
