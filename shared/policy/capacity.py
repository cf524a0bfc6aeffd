"""The capacity ladder: which size to try next, and when the operator must act."""

from __future__ import annotations

import re

from shared.models.operations import Refusal


def family(size: str) -> str:
    """The quota family of a size: Standard_D4s_v5 and Standard_D8s_v5 share one, Standard_D4as_v5 does not."""
    match = re.fullmatch(r"Standard_([A-Z]+)\d+(?:-\d+)?([a-z]*)(?:_(v\d+))?", size)
    return "".join(part or "" for part in match.groups()) if match else size


def cores(size: str) -> int:
    """How many cores a size has by its name; 0 when the name does not say."""
    match = re.match(r"Standard_[A-Z]+(\d+)", size)
    return int(match[1]) if match else 0


def next_rung(sizes: list[str], rung: int, refusal: Refusal) -> int | None:
    """The next rung after ``rung`` was refused, or None when the ladder is exhausted.

    Capacity: the next size. Quota: the next size that needs less, or another family's quota.
    """
    for candidate in range(rung + 1, len(sizes)):
        other, smaller = family(sizes[candidate]) != family(sizes[rung]), cores(sizes[candidate]) < cores(sizes[rung])
        if refusal.kind == "capacity" or other or smaller:
            return candidate
    return None
