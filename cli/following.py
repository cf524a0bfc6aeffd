"""Finding a run by the few letters that a person types, and following it to its end."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.text import Text

from cli import show
from cli.api import Api, ApiError, UnreachableError
from cli.options import completions, fitting, out
from shared.models import ids, words

_LOOKED_AT = 50
"""The newest runs, of which a short id may mean one."""


def run_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Short ids of the newest runs."""
    runs = completions(ctx, f"runs?limit={_LOOKED_AT}").get("runs") or []
    return fitting("[a-z]-[0-9a-f]+", [show.short_id(str(run.get("run_id"))) for run in runs], incomplete)


Run = Annotated[
    str,
    typer.Argument(
        help="The run: its id, its short id (f-4076), or nothing where only one run is in progress.",
        autocompletion=run_names,
    ),
]
SUCCEEDED, NEEDS_A_PERSON, ENDED_OTHERWISE = 0, 3, 4
"""Exit statuses of commands that follow a run."""
_PATIENCE = 300.0
"""Seconds for which a lost connection is tried again: a function app restarts."""


def find_run(api: Api, wanted: str) -> str:
    """The id of the run that a person means. Raises ``ApiError`` where that is none, or more than one."""
    if ids.parse_run_id(wanted):
        return wanted
    runs = api.get(f"runs?limit={_LOOKED_AT}")["runs"]
    if wanted:
        found = [run for run in runs if wanted in (show.short_id(run["run_id"]), run["run_id"].rsplit("-", 1)[-1])]
        hint = f"No recent run is called {wanted!r}"
    else:
        found = [run for run in runs if run["outcome"] is None]
        hint = "No run is in progress"
    if len(found) == 1:
        return str(found[0]["run_id"])
    if found:
        names = ", ".join(show.short_id(run["run_id"]) for run in found)
        raise ApiError(422, f"More than one run fits: {names}. Name one of them.")
    raise ApiError(404, f"{hint}. `coldsite runs list` lists them.")


def follow(api: Api, run_id: str) -> None:
    """Prints changes until the run ends or waits for an answer, and exits with a status that says which. A lost
    connection is tried again; Ctrl-C detaches, and the run continues.
    """
    known: dict[tuple[str, str], str] = {}
    phase = None
    try:
        while True:
            run = _read(api, run_id)
            if run["phase"] != phase and not run["outcome"]:
                phase = run["phase"]
                out.print(Text(f"{words.PHASES[phase]} ...", style="bold"))
            _print_news(run, known)
            if run["outcome"] or run["waiting_for"]:
                out.print(show.run_details(run, api.target.speed))
                break
            time.sleep(0.5 if api.target.is_lab else 2.0)
    except KeyboardInterrupt:
        out.print(f"\nThe run continues. `coldsite runs watch {show.short_id(run_id)}` follows it again.")
        raise typer.Exit(SUCCEEDED) from None
    raise typer.Exit(status_of(run))


def status_of(run: dict[str, Any]) -> int:
    """The exit status that says how a run stands: succeeded or observed, ended otherwise, or a person must act."""
    if run["outcome"] is None:
        return NEEDS_A_PERSON
    return SUCCEEDED if run["outcome"] in ("succeeded", "observed") else ENDED_OTHERWISE


def _read(api: Api, run_id: str) -> dict[str, Any]:
    lost_at: float | None = None
    while True:
        try:
            return api.get(f"runs/{quote(run_id, safe='')}")
        except UnreachableError as error:
            if lost_at is None:
                lost_at = time.monotonic()
                print(f"{error} The run continues; trying again ...", file=sys.stderr)
            if time.monotonic() - lost_at > _PATIENCE:
                raise
            time.sleep(2.0)


def _print_news(run: dict[str, Any], known: dict[tuple[str, str], str]) -> None:
    for step in run["steps"]:
        key = (step["name"], step["target"])
        if step["name"] not in words.STEPS or step["target"] == "confirming" or step["status"] == "running":
            continue
        if known.get(key) == step["status"]:
            continue
        known[key] = step["status"]
        mark = "[green]✓[/]" if step["status"] == "succeeded" else "[red]✗[/]"
        tail = f": {step['error']}" if step["error"] else ""
        out.print(Text.from_markup(f"  {mark} ").append(f"{words.step_words(*key)}{tail}"))
