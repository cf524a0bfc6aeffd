"""Evidence of the primary site, in rounds."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from shared.models.base import Strict
from shared.models.durations import spoken

State = Literal["up", "down", "no_data"]
SignalRole = Literal["evidence", "control", "recovery"]
"""``evidence`` is about the primary site, ``control`` about the observer, ``recovery`` about the recovery region."""


class Evidence(Strict):
    """One signal's answer. ``age`` is how many seconds old the observation was; ``direct`` is whether Coldsite probed
    the site itself, rather than Traffic Manager or a log, which may be slow to notice.

    ``spoke``: the site answered, but refused Coldsite's login, certificate or query. That says nothing of its health,
    and proves that it is alive and that the path to it works.
    """

    signal: str
    path: str
    role: SignalRole = "evidence"
    state: State
    counts_as: State
    detail: str
    age: float = 0.0
    direct: bool = True
    spoke: bool = False


class Round(Strict):
    """All signals asked once, at one time."""

    at: datetime
    evidence: list[Evidence]


class RoundView(Strict):
    """The result of one round. ``veto`` names the signals on the private path that reach the site, ``trouble`` those
    that report an incident in the recovery region."""

    says: Literal["down", "up", "unclear", "blind"]
    down_paths: list[str]
    up_paths: list[str]
    veto: list[str]
    trouble: list[str]


def spoken_evidence(evidence: list[Evidence], time_factor: float = 1.0) -> str:
    """The answer of every signal, in one sentence. ``time_factor`` multiplies ages."""
    parts = []
    for item in evidence:
        old = f", {spoken(item.age * time_factor)} ago" if item.age * time_factor >= 1 else ""
        words = _ABOUT_AZURE if item.role == "recovery" else _ABOUT_A_SITE
        parts.append(f"{item.signal}: {words[item.state]} ({item.detail}{old})")
    return "; ".join(parts) + "."


_ABOUT_A_SITE = {"up": "up", "down": "unreachable", "no_data": "no data"}
_ABOUT_AZURE = {"up": "no trouble", "down": "trouble", "no_data": "no data"}
