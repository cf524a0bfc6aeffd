"""Shared by the commands: options, console, API client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import show
from cli.api import Api, find_target

out = show.console()
Url = Annotated[str | None, typer.Option("--url", help="Coldsite's URL; else COLDSITE_URL, a lab, or the context.")]
Key = Annotated[str | None, typer.Option("--key", help="The function key; else COLDSITE_KEY.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
WhatIf = Annotated[bool, typer.Option("--what-if", help="Check and forecast; start and store nothing.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Start it, and do not follow it.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="The reason; kept in the history.")]


def api_of(url: str | None, key: str | None) -> Api:
    return Api(find_target(url, key))


def confirm(api: Api, question: str, yes: bool) -> None:
    """Asks, and names the Coldsite: a lab and the real one are easily confused."""
    if yes:
        return
    where = "the lab" if api.target.is_lab else api.target.url
    out.print(f"At {where}:", style="bold", markup=False)
    if not typer.confirm(question):
        out.print("No action was taken.")
        raise typer.Exit(1)


def write_page(api: Api, path: str, file: Path) -> None:
    """Writes a page of Coldsite's to a file."""
    file.write_text(api.page(path), encoding="utf-8")
    out.print(f"Written to {file}.", markup=False)
