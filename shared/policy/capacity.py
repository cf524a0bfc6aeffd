"""The capacity ladder: which size to try next, and when a person must be asked."""

from __future__ import annotations

import re
from typing import Literal

from shared.plan import Strict

RefusalKind = Literal["capacity", "quota", "throttled", "conflict", "in_use", "permanent"]

_CAPACITY = {
    "allocationfailed",
    "zonalallocationfailed",
    "overconstrainedallocationrequest",
    "overconstrainedzonalallocationrequest",
    "skunotavailable",
}
_CONFLICT = {
    "nicreservedforanothervm",
    "conflict",
    "anotheroperationinprogress",
    "operationpreempted",
    "attachdiskwhilebeingdetached",
    "retryableerror",
    "internalexecutionerror",
}
"""Codes that pass by themselves. Other conflicts (a lock, a stopped machine) need a person."""
_IN_USE = {"nicinuse", "conflictinguserinput", "diskinuse", "resourceinuse"}
"""Another machine has the interface or the disk: a leftover, which may be cleared away, or a stranger's."""


class Refusal(Strict):
    """Azure's expected "no", with its code and words. ``retry_after`` is in seconds, as Azure said it."""

    kind: RefusalKind
    code: str
    message: str
    retry_after: float | None = None

    @property
    def sentence(self) -> str:
        return f"Azure answered {self.code}: {self.message}"


def classify(status: int, code: str, message: str, retry_after: float | None = None) -> Refusal:
    """Sorts an error of Azure into what can be done about it.

    The HTTP status comes first, since ``OperationNotAllowed`` is the code of both throttling and quota.
    Source: MicrosoftDocs/azure-compute-docs:articles/virtual-machines/troubleshoot (allocation failures, throttling).
    """
    word = code.lower()
    kind: RefusalKind
    if status == 429:
        kind = "throttled"
    elif word in _CAPACITY:
        kind = "capacity"
    elif word == "quotaexceeded" or (word == "operationnotallowed" and "quota" in message.lower()):
        kind = "quota"
    elif word in _CONFLICT:
        kind = "conflict"
    elif word in _IN_USE:
        kind = "in_use"
    else:
        kind = "permanent"
    return Refusal(kind=kind, code=code or str(status), message=" ".join(message.split()), retry_after=retry_after)


def family(size: str) -> str:
    """The quota family of a size: Standard_D4s_v5 and Standard_D8s_v5 share one, Standard_D4as_v5 does not."""
    match = re.fullmatch(r"Standard_([A-Z]+)\d+(?:-\d+)?([a-z]*)(?:_(v\d+))?", size)
    return "".join(part or "" for part in match.groups()) if match else size


def next_rung(sizes: list[str], rung: int, refusal: Refusal) -> int | None:
    """The next rung to try after ``rung`` was refused, or None when the ladder is used up.

    Capacity: the next size. Quota: the next size of another family, since the family's quota is what is used up.
    """
    for candidate in range(rung + 1, len(sizes)):
        if refusal.kind == "capacity" or family(sizes[candidate]) != family(sizes[rung]):
            return candidate
    return None
