"""The problems of a plan file, in words that name key, value and what was expected."""

from __future__ import annotations

import difflib
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic_core import ErrorDetails

from shared.models.base import Strict
from shared.models.plan import RecoveryPlan
from shared.models.plan_fields import GROUP_ID, REGION, SETTING_NAME, SIZE, URL_PATH, WORKLOAD_NAME

_EXPECTED = {
    SETTING_NAME: "is not the name of an app setting, such as SQL_PROBE: capital letters, digits and underscores",
    GROUP_ID: "is not the id of a resource group: /subscriptions/ID/resourceGroups/NAME",
    SIZE: "is not a size of a machine, such as Standard_D4s_v5",
    REGION: "is not a region as Azure's API spells it, such as westeurope",
    WORKLOAD_NAME: "is not a workload's name: a small letter, then at most 30 small letters, digits and hyphens",
    URL_PATH: "is not a path, such as /health",
}
"""What a value of a pattern should be, in words."""


def problems_of(errors: list[ErrorDetails]) -> list[str]:
    """One line for each problem."""
    return [_explain(error) for error in errors]


def _explain(error: ErrorDetails) -> str:
    key = ".".join(str(part) for part in error["loc"] if not str(part).startswith("function-"))
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
            expected = _EXPECTED.get(error["ctx"]["pattern"], f"does not match {error['ctx']['pattern']}")
            # A secret that was written where the name of its setting belongs must not reach a log.
            shown = "the value" if error["ctx"]["pattern"] == SETTING_NAME else _short(value)
            return f"{key}: {shown} {expected}"
        case _:
            message = error["msg"]
            return f"{key}: {_short(value)}: {message[0].lower()}{message[1:]}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _suggestion(error: ErrorDetails) -> str:
    model = _model_at(error["loc"][:-1])
    known = [f.alias or name for name, f in model.model_fields.items()] if model else []
    close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; expected one of {', '.join(known)}" if known else ""


def _model_at(location: tuple[int | str, ...]) -> type[Strict] | None:
    """The model whose keys are at an error's location."""
    here: Any = RecoveryPlan
    for part in location:
        if _is_model(here):
            field = here.model_fields.get(str(part))
            here = _without_none(field.annotation) if field else None
        elif get_origin(here) in (dict, list):
            here = _without_none(get_args(here)[-1])
    return here if _is_model(here) else None


def _without_none(annotation: Any) -> Any:
    """The type itself, of a type that may be None or has further constraints."""
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return _without_none(next(a for a in get_args(annotation) if a is not type(None)))
    return annotation


def _is_model(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Strict)
