"""The Coldsites that a person looks after, by name: ~/.config/coldsite/contexts.yaml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from shared.models.signing import key_of


class ContextError(Exception):
    """The file of contexts, or a name in it, cannot be used."""


def _checked(secret: str) -> str:
    key_of(secret)
    return secret


class Context(BaseModel):
    """How to reach one Coldsite: its ``url``, and the client id of its app registration, or a function key. ``secret``
    verifies the status that it sends (``coldsite fleet serve``).
    """

    model_config = ConfigDict(extra="forbid")

    url: str
    app: str | None = None
    key: str | None = None
    secret: Annotated[str, AfterValidator(_checked)] | None = None


class Contexts(BaseModel):
    """All of them; ``current`` is used where no other is named."""

    model_config = ConfigDict(extra="forbid")

    current: str | None = None
    contexts: dict[str, Context] = Field(default_factory=dict)


def file() -> Path:
    """Where they are kept: COLDSITE_CONFIG, else the user's configuration folder."""
    if own := os.environ.get("COLDSITE_CONFIG"):
        return Path(own)
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "coldsite" / "contexts.yaml"


def read() -> Contexts:
    """Raises ``ContextError`` for a file that cannot be used; none is an empty one."""
    path = file()
    try:
        return Contexts.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except FileNotFoundError:
        return Contexts()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ContextError(f"{path} cannot be used: {where}: {first['msg']}. Correct it, or delete it.") from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ContextError(f"{path} cannot be used: {str(error).splitlines()[0]}. Correct it, or delete it.") from error


def chosen() -> tuple[str, Context] | None:
    """The context that COLDSITE_CONTEXT names, else the current one; None where there is none. Raises
    ``ContextError`` for a name that is not there.
    """
    known = read()
    name = os.environ.get("COLDSITE_CONTEXT") or known.current
    if not name:
        return None
    if name not in known.contexts:
        names = ", ".join(sorted(known.contexts)) or "none"
        raise ContextError(f"There is no context {name!r}. Known: {names}. `coldsite context add` adds one.")
    return name, known.contexts[name]


def write(known: Contexts) -> None:
    """Only the user may read it: it may hold keys."""
    path = file()
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(known.model_dump(exclude_none=True), sort_keys=False)
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)
    new.replace(path)
