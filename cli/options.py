"""Shared by the commands: options, console, API client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import show
from cli.api import Api, ApiError, find_target, remember
from cli.contexts import ContextError
from shared.models.ids import PLAN_NAME

out = show.console()
Url = Annotated[str | None, typer.Option("--url", help="Coldsite's URL; else COLDSITE_URL, a lab, or the context.")]
Key = Annotated[str | None, typer.Option("--key", help="The function key; else COLDSITE_KEY.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
WhatIf = Annotated[bool, typer.Option("--what-if", help="Check and forecast; start and store nothing.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Start it, and do not follow it.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="The reason; kept in the history.")]


@contextmanager
def needs_clone(command: str) -> Iterator[None]:
    """Reads parts that an installation of the command alone lacks. Raises ``ApiError`` where they are missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ApiError(
            0,
            f"`{command}` needs a clone of Coldsite's repository ({error.name} is missing here). Run `make setup` "
            f"there, then `.venv/bin/{command}`.",
        ) from error


_COMPLETES_WITHIN = 3.0
"""Seconds for Coldsite's answer to a shell's completion: a person waits for it with a finger on Tab."""


def completions(context: typer.Context, path: str) -> dict[str, Any]:
    """Coldsite's answer while a shell completes a command, or nothing."""
    before, own = context.find_root().params, context.params
    try:
        remember(before.get("url"), before.get("key"), before.get("named"))
        return Api(find_target(own.get("url"), own.get("key")), _COMPLETES_WITHIN).get(path)
    except (ApiError, ContextError):
        return {}


def fitting(pattern: str, names: list[Any], incomplete: str) -> list[str]:
    """Those that continue what was typed. A shell evaluates what it is offered, so every name must look like one."""
    return [name for name in names if re.fullmatch(pattern, str(name)) and name.startswith(incomplete)]


def plan_names(ctx: typer.Context, incomplete: str) -> list[str]:
    plans = completions(ctx, "plans").get("plans") or []
    return fitting(PLAN_NAME, [plan.get("name") for plan in plans], incomplete)


def _plan_name(name: str) -> str:
    if not re.fullmatch(PLAN_NAME, name):
        raise typer.BadParameter(f"{name!r} is no plan's name. `coldsite` lists the plans.")
    return name


Plan = Annotated[
    str,
    typer.Argument(metavar="PLAN", help="The plan's name.", autocompletion=plan_names, callback=_plan_name),
]


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
