"""`coldsite context`: the Coldsites that a person looks after, by name."""

from __future__ import annotations

import re
from typing import Annotated

import typer
from pydantic import ValidationError

from cli.api import checked
from cli.contexts import Context, ContextError, read, write
from cli.options import out

app = typer.Typer(no_args_is_help=True, help="The Coldsites that you look after, by name.")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@app.command()
def add(
    name: str,
    url: Annotated[str, typer.Option(help="Its address, https://...azurewebsites.net.")],
    client: Annotated[str | None, typer.Option("--app", help="Its app registration: sign in with `az login`.")] = None,
    key: Annotated[str | None, typer.Option(help="A function key, where sign-in is off.")] = None,
    secret: Annotated[str | None, typer.Option(help="Verifies the status that it sends (fleet serve).")] = None,
) -> None:
    """Add a Coldsite and use it from now on. What is known of the same address already is kept."""
    if not _NAME.fullmatch(name):
        raise typer.BadParameter("a name has letters, digits, dots, hyphens and underscores, 63 at most.")
    known, url = read(), checked(url)
    old = known.contexts.get(name)
    kept = old.model_dump(exclude_none=True) if old and old.url == url else {}
    given = {"url": url, "app": client, "key": key, "secret": secret}
    try:
        known.contexts[name] = Context(**kept | {key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        raise typer.BadParameter(str(error.errors()[0]["msg"])) from None
    known.current = name
    write(known)
    out.print(f"{name} is used from now on. `coldsite context use NAME` changes that.", markup=False)


@app.command()
def use(name: str) -> None:
    """Use another Coldsite from now on."""
    known = read()
    if name not in known.contexts:
        raise ContextError(f"There is no context {name!r}. Known: {', '.join(sorted(known.contexts)) or 'none'}.")
    known.current = name
    write(known)
    out.print(f"{name} is used from now on.", markup=False)


@app.command("list")
def list_contexts() -> None:
    """List the Coldsites; the one in use is marked. Keys are not shown."""
    known = read()
    for name, context in sorted(known.contexts.items()):
        out.print(f"{'*' if name == known.current else ' '} {name}  {context.url}", markup=False, highlight=False)
    if not known.contexts:
        out.print("None yet. `coldsite context add NAME --url URL --app ID` adds one.")


@app.command()
def remove(name: str) -> None:
    """Forget a Coldsite. Nothing happens to it."""
    known = read()
    if known.contexts.pop(name, None) is None:
        raise ContextError(f"There is no context {name!r}.")
    if known.current == name:
        known.current = None
    write(known)
    out.print(f"{name} is forgotten.", markup=False)
