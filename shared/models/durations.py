"""Durations as people write them (``90s``, ``1h30m``), the two kinds that a plan holds, and moments in sentences."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def parse_duration(value: Any) -> timedelta:
    """Reads ``90s``, ``1.5h`` or ``1h30m``. Raises ``ValueError`` for anything else, a bare number in particular."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        raise ValueError("needs a number with a unit: ms, s, m, h or d, for example 90s or 1h30m")
    try:
        return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value)))
    except OverflowError as error:
        raise ValueError("is too long") from error


def format_duration(value: timedelta) -> str:
    """The shortest exact spelling: ``90s`` for a minute and a half, ``2h`` for two hours."""
    seconds = value.total_seconds()
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def spoken(seconds: float) -> str:
    """A duration for a sentence: ``8 s``, ``1 min 32 s``, ``14 min``, ``2 h 5 min``, ``90 days``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 72:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def spoken_moment(moment: datetime) -> str:
    """A moment for a sentence: ``2027-01-15 20:30 UTC``."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


class IoTimeoutMark:
    """Marks a time-out of real I/O, which the lab must not shorten to nothing."""


_schema = WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", "examples": ["90s", "1h30m"]})
_serialize = PlainSerializer(format_duration, return_type=str)

Duration = Annotated[timedelta, BeforeValidator(parse_duration), _serialize, _schema]
"""A wait or an age of the plan."""

IoTimeout = Annotated[timedelta, BeforeValidator(parse_duration), _serialize, _schema, IoTimeoutMark()]
"""How long one connection or one request may take."""
