"""What the commands share: their options, their console, the API that they talk to."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import show
from cli.api import Api, find_target

out = show.console()
Url = Annotated[str | None, typer.Option("--url", help="Where Coldsite runs; else COLDSITE_URL, else a lab beside.")]
Key = Annotated[str | None, typer.Option("--key", help="The function key; else COLDSITE_KEY.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of words.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for programs.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the history.")]


def api_of(url: str | None, key: str | None) -> Api:
    return Api(find_target(url, key))
