"""`coldsite runs`: the history, following a run, verifying that nothing was changed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from rich.text import Text

from cli import show
from cli.api import Api
from cli.options import Key, Url, api_of, out, write_page
from cli.output import Format, Output, Printing, emit
from shared.models import words

runs_app = typer.Typer(no_args_is_help=True, help="The history: failovers and drills, with their timelines.")


def follow(api: Api, run_id: str) -> None:
    """Prints changes until the run ends or waits for an answer. Ctrl-C detaches; the run continues."""
    known: dict[tuple[str, str], str] = {}
    phase, factor = None, api.target.speed
    try:
        while True:
            run = api.get(f"runs/{quote(run_id, safe='')}")
            if run["phase"] != phase and not run["outcome"]:
                phase = run["phase"]
                out.print(Text(f"{words.PHASES[phase]} ...", style="bold"))
            for step in run["steps"]:
                key = (step["name"], step["target"])
                if (
                    step["name"] in words.STEPS
                    and step["target"] != "confirming"
                    and known.get(key) != step["status"]
                    and step["status"] != "running"
                ):
                    known[key] = step["status"]
                    mark = "[green]✓[/]" if step["status"] == "succeeded" else "[red]✗[/]"
                    tail = f": {step['error']}" if step["error"] else ""
                    out.print(Text.from_markup(f"  {mark} ").append(f"{words.step_words(*key)}{tail}"))
            if run["outcome"] or run["waiting_for"]:
                out.print(show.run_details(run, factor))
                return
            time.sleep(0.5)
    except KeyboardInterrupt:
        out.print(f"\nThe run continues. `coldsite runs watch {run_id}` follows it again.")


@runs_app.command("list", cls=Printing)
def list_runs(
    plan: Annotated[str | None, typer.Option(help="Only runs of this plan.")] = None,
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
def show_run(run: str, output: Output = Format.TABLE, url: Url = None, key: Key = None) -> None:
    """Show one run: the decision and its reason, the timeline, the measurements."""
    api = api_of(url, key)
    found = api.get(f"runs/{quote(run, safe='')}")
    if output is not Format.TABLE:
        emit(found, output)
    else:
        out.print(show.run_details(found, api.target.speed))


@runs_app.command("watch")
def watch_run(run: str, url: Url = None, key: Key = None) -> None:
    """Follow a run until it ends or waits for an answer."""
    follow(api_of(url, key), run)


@runs_app.command("report", cls=Printing)
def report(
    run: str,
    html: Annotated[Path | None, typer.Option(help="Write the report to this file, as a page that prints.")] = None,
    output: Output = Format.TABLE,
    url: Url = None,
    key: Key = None,
) -> None:
    """Report on one run: decision, timeline, objectives against measurements, who did what, what was left."""
    api, path = api_of(url, key), f"runs/{quote(run, safe='')}/report"
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
    plan: Annotated[str | None, typer.Argument(help="Only this plan; without it, every plan.")] = None,
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
