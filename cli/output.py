"""How a command prints what it found: for people, or for programs."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from typer.core import TyperCommand, TyperGroup


class Format(StrEnum):
    """``table`` is for people; the others are the API's document."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    TSV = "tsv"


Output = Annotated[
    Format,
    typer.Option("--output", "-o", help="For people (table), or the document as json, yaml or tsv. --json: -o json."),
]


class Printing(TyperCommand):
    """A command with ``--output``, for which ``--json`` is short for ``--output json``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _long(args))


class PrintingGroup(TyperGroup):
    """The same for a group that is a command by itself."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _long(args))


def _long(args: list[str]) -> list[str]:
    return ["--output=json" if arg == "--json" else arg for arg in args]


def emit(found: Any, output: Format) -> None:
    """Prints a document in a format for programs. tsv: one line for each item, its plain values without a header."""
    if output is Format.YAML:
        print(yaml.safe_dump(found, sort_keys=False, allow_unicode=True), end="")
    elif output is Format.TSV:
        for item in found if isinstance(found, list) else [found]:
            print("\t".join(_cell(value) for value in item.values() if not isinstance(value, (dict, list))))
    else:
        print(json.dumps(found))


def _cell(value: Any) -> str:
    """Without the two characters that a line of the table must not contain."""
    return "" if value is None else str(value).replace("\t", " ").replace("\n", " ")
