"""The problems of a plan file, in words that name key, value and what was expected."""

from __future__ import annotations

import difflib
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic_core import ErrorDetails

from shared.models.base import Strict
from shared.models.plan import RecoveryPlan


def problems_of(errors: list[ErrorDetails]) -> list[str]:
    """One line for each problem. Where a key may be a word or a mapping, only what fits the given value is shown."""
    mappings = {".".join(_walk(e["loc"])[0]) for e in errors if e["type"] == "model_type"}
    messages: list[str] = []
    for error in errors:
        key = ".".join(_walk(error["loc"])[0])
        in_union = any(str(part).startswith("literal[") for part in error["loc"])
        if in_union and isinstance(error.get("input"), dict):
            continue
        if error["type"] == "model_type" and any(e["type"] == "literal_error" and key in mappings for e in errors):
            continue
        messages.append(_explain(key, error))
    return messages


def _explain(key: str, error: ErrorDetails) -> str:
    value = error.get("input")
    match error["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key{_suggestion(error)}"
        case "missing":
            return f"{key}: is missing"
        case "literal_error":
            expected = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
            return f"{key}: {value!r} is not one of {expected}"
        case "value_error":
            sentence = str(error["ctx"]["error"])
            return f"{key}: {_short(value)} {sentence}" if not isinstance(value, dict) else f"{key}: {sentence}"
        case "string_pattern_mismatch":
            return f"{key}: {value!r} does not match {error['ctx']['pattern']}"
        case _:
            message = error["msg"]
            return f"{key}: {_short(value)}: {message[0].lower()}{message[1:]}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _suggestion(error: ErrorDetails) -> str:
    here = _walk(error["loc"][:-1])[1]
    model = next((one for one in (here, *get_args(here)) if _is_model(one)), None)
    known = [f.alias or name for name, f in model.model_fields.items()] if model else []
    close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; expected one of {', '.join(known)}" if known else ""


def _walk(location: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """The keys of an error's location, without pydantic's names for unions, and the type there."""
    here: Any = RecoveryPlan
    keys: list[str] = []
    for part in location:
        here, is_key = _step_into(here, part)
        if is_key:
            keys.append(str(part))
    return keys, here


def _step_into(here: Any, part: int | str) -> tuple[Any, bool]:
    if _is_model(here):
        field = here.model_fields.get(str(part))
        return (field.annotation if field else None), True
    arguments = [a for a in get_args(here) if a is not type(None)]
    origin = get_origin(here)
    if origin is Annotated:
        return _step_into(arguments[0], part)
    if origin is dict:
        return arguments[1], True
    if origin is list:
        return arguments[0], True
    if origin in (Union, UnionType):
        named = next((a for a in arguments if getattr(a, "__name__", "") == part), None)
        if named is not None or str(part).startswith("literal["):
            return named, False
        return _step_into(arguments[0], part)
    return None, not str(part).startswith("function-")


def _is_model(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Strict)
