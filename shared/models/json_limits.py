"""Limits on input from outside, so that no request is too expensive to parse."""

from __future__ import annotations

import json
import math
from typing import Any

DEPTH = 32
VALUES = 20_000


class OverLimitError(ValueError):
    """JSON that is deeper or longer than any valid input."""


def read_json(raw: bytes) -> Any:
    """Reads strict JSON in UTF-8: no NaN or infinity, no duplicate key in one object, at most ``DEPTH`` deep and
    ``VALUES`` values.

    Raises ``OverLimitError``, or another ``ValueError`` for anything but JSON.
    """
    try:
        data = json.loads(raw.decode(), parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("too deeply nested") from error
    check_size(data)
    return data


def check_size(data: Any) -> None:
    """Raises ``OverLimitError`` for data that are too deep or have too many values, whatever their origin."""
    level, depth, count = [data], 0, 0
    while level:
        depth, count = depth + 1, count + len(level)
        if depth > DEPTH:
            raise OverLimitError(f"more than {DEPTH} levels deep")
        if count > VALUES:
            raise OverLimitError(f"more than {VALUES} values")
        level = [inner for value in level for inner in _inside(value)]


def _inside(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a duplicate key is present")
    return found
